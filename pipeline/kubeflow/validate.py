"""Validates options before compilation, and compiled graphs."""

from typing import Any

from pipeline.config import Config
from pipeline.kubeflow.options import Target
from schema.errors import PneumoError, one_line
from schema.storage import SCHEMES, is_remote

_CLUSTER_SCHEMES = tuple(f"{scheme}://" for scheme in SCHEMES)


def check_deploy(config: Config, target: Target) -> tuple[str, str]:
    """Checks the section `deploy` of a configuration; returns image and root.

    Raises:
      PneumoError: an option is missing, or the cluster cannot read a path.
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
    keys = ("root", "data", "push_to", "checkpoints")
    uris = {f"deploy.{key}": getattr(deploy, key) for key in keys}
    uris["model.weights"] = config.model.weights
    for i, member in enumerate(config.model.members):
        uris[f"model.members.{i}.weights"] = member.weights
    for key, uri in uris.items():
        if uri not in (None, "imagenet", "random") and not uri.startswith(_CLUSTER_SCHEMES):
            problem = "has an unsupported scheme" if is_remote(uri) else "is a local path"
            raise PneumoError(
                f"{key}: {uri} {problem}, which the cluster cannot read; use a gs://, s3:// or "
                "minio:// URI"
            )
    if target == "vertex" and not deploy.root.startswith("gs://"):
        raise PneumoError(f"deploy.root: {deploy.root}: Vertex AI supports only gs://")
    if target == "vertex" and deploy.secret:
        raise PneumoError(
            "deploy.secret is for kubeflow only; on Vertex AI grant deploy.service_account access"
        )
    return deploy.image, deploy.root


def check(spec: dict[str, Any]) -> None:
    """Checks a spec against the PipelineSpec message: no unknown field, no wrong type.

    Raises:
      PneumoError: the spec is not valid.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        # A Struct in the message; its content has a type of its own.
        json_format.ParseDict(
            spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
    except json_format.ParseError as error:
        raise PneumoError(f"not a PipelineSpec: {one_line(error)}") from None
    if not message.pipeline_info.name or not message.root.dag.tasks:
        raise PneumoError("not a PipelineSpec: it has no pipelineInfo.name or no task")
    if message.schema_version != "2.1.0":
        raise PneumoError(f"schemaVersion is {message.schema_version!r}, not '2.1.0'")


def load_with_kfp(text: str) -> str:
    """Loads a spec with Kubeflow's own client; returns the name of the pipeline.

    Args:
      text: YAML, with or without a second document for the platform.

    Raises:
      PneumoError: the client does not load it.
    """
    from kfp import components

    try:
        loaded = components.load_component_from_text(text)
        return str(loaded.pipeline_spec.pipeline_info.name)
    except Exception as error:  # the loader raises what lies below it: yaml, protobuf, its own
        raise PneumoError(f"kfp cannot load it: {one_line(error)}") from None
