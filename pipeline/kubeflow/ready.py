"""What must be known before a graph is compiled for a cluster, and the file that comes of it."""

import json
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import Config
from pipeline.kubeflow.options import Target
from schema.errors import PneumoError
from schema.files import write_atomically
from schema.storage import SCHEMES, is_remote

_ON_CLUSTERS = tuple(f"{scheme}://" for scheme in SCHEMES)


def need(config: Config, target: Target) -> tuple[str, str]:
    """Checks the part `deploy` of a configuration.

    Returns:
      Image and root.

    Raises:
      PneumoError: something is missing, or lies where the cluster cannot see it.
    """
    deploy = config.deploy
    if not deploy.image:
        raise PneumoError(
            "no image: give --image REGISTRY/pneumo-tfx:TAG, or deploy.image in the configuration"
        )
    if not deploy.root:
        raise PneumoError(
            "no root for the artifacts: give --root gs://BUCKET/FOLDER (s3://, minio://), or "
            "deploy.root in the configuration"
        )
    uris = {
        "deploy.root": deploy.root,
        "deploy.data": deploy.data,
        "deploy.push_to": deploy.push_to,
        "deploy.checkpoints": deploy.checkpoints,
    }
    if config.model.weights not in ("imagenet", "random"):
        uris["model.weights"] = config.model.weights
    for key, uri in uris.items():
        if uri is not None and not uri.startswith(_ON_CLUSTERS):
            what = "is of another kind" if is_remote(uri) else "is a place on this machine"
            raise PneumoError(
                f"{key}: {uri} {what}, which the cluster does not see; give a gs://, s3:// or "
                "minio:// URI"
            )
    if target == "vertex" and not deploy.root.startswith("gs://"):
        raise PneumoError(f"deploy.root: {deploy.root}: Vertex AI keeps artifacts on gs:// alone")
    if target == "vertex" and deploy.secret:
        raise PneumoError(
            "deploy.secret is of kubeflow; on Vertex AI give deploy.service_account access instead"
        )
    return deploy.image, deploy.root


def as_text(
    compiled: dict[str, Any], target: Target, platform: dict[str, Any] | None = None
) -> str:
    """The content of the file: YAML for Kubeflow, one or two documents; JSON for Vertex AI."""
    if target == "vertex":
        return json.dumps(compiled, indent=1, sort_keys=True) + "\n"
    documents = [compiled, *([platform] if platform else [])]
    head = f"# PIPELINE DEFINITION\n# Name: {compiled['pipelineInfo']['name']}\n"
    return head + yaml.safe_dump_all(documents, sort_keys=True, width=100)


def write(file: Path, text: str) -> None:
    """Writes the file, whole or not at all.

    Raises:
      PneumoError: the folder does not exist or cannot be written.
    """
    if not file.parent.is_dir():
        raise PneumoError(f"-o {file}: folder {file.parent} does not exist; make it first")
    try:
        write_atomically(file, text)
    except OSError as error:
        file.with_name(f".{file.name}.partial").unlink(missing_ok=True)
        raise PneumoError(f"-o {file} cannot be written ({error.strerror})") from None
