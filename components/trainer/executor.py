"""Executors of the Trainer node where several processes train one model.

`RankExecutor` is what each process runs, wherever it was started. `LaunchExecutor` is what the node
runs: it starts such a process here, or as many as the configuration says. Imported by TFX.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tfx import types
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import artifact_utils
from tfx.utils import name_utils, path_utils

from components.trainer.cluster import TF_CONFIG, cluster_of
from components.trainer.ranks import handed_over, loopback, run_ranks
from schema import storage

Artifacts = dict[str, list[types.Artifact]]
MODULE: Final = "tfx.scripts.run_executor"


class RankExecutor(GenericExecutor):
    """TFX's generic Trainer as one process of several.

    Inputs in an object store are copied to this machine. The chief's outputs are copied back; those
    of the others, who write nothing that anybody reads, go to a folder that is thrown away.
    """

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """Runs `run_fn` on this process's share."""
        cluster = cluster_of()
        with (
            tempfile.TemporaryDirectory(prefix="pneumo-rank-") as folder,
            _kept([*_all(input_dict), *_all(output_dict)]),
        ):
            scratch = Path(folder)
            for i, artifact in enumerate(_all(input_dict)):
                if storage.is_remote(artifact.uri):
                    artifact.uri = str(storage.fetch(artifact.uri, scratch / f"input-{i}"))
            back: list[tuple[Path, str]] = []
            for i, artifact in enumerate(_all(output_dict)):
                if cluster.chief and not storage.is_remote(artifact.uri):
                    continue
                own = scratch / f"output-{i}"
                own.mkdir()
                if cluster.chief:
                    back.append((own, artifact.uri))
                else:
                    # TFX looks for a model in the end.
                    Path(path_utils.serving_model_dir(str(own))).mkdir()
                artifact.uri = str(own)
            super().Do(input_dict, output_dict, exec_properties)
            for own, uri in back:
                storage.put(own, uri, last=["saved_model.pb"])


class LaunchExecutor(GenericExecutor):
    """Starts the processes that train, and waits for them.

    They are processes of their own, for TensorFlow joins others only before it has computed. With
    TF_CONFIG set this node is one of a cluster that somebody else started, and the one process that
    is started here is its rank; else there are `training.processes`, on the loopback interface.
    """

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """Trains in processes of their own.

        Raises:
          PneumoError: one of them failed.
        """
        config = json.loads(exec_properties["custom_config"])
        command = rank_command(input_dict, output_dict, exec_properties)
        joined = cluster_of()
        if joined.size > 1:
            with handed_over(str(config["checkpoints"]), command, joined):
                run_ranks(command, [os.environ[TF_CONFIG]])
            return
        run_ranks(command, loopback(int(config["training"].get("processes", 1))))


def rank_command(
    inputs: Artifacts, outputs: Artifacts, exec_properties: Mapping[str, Any]
) -> list[str]:
    """The command of each process, after the interpreter: TFX's own entry, as on Vertex AI."""
    return [
        "-m", MODULE,
        "--executor_class_path", name_utils.get_full_name(RankExecutor),
        "--inputs", artifact_utils.jsonify_artifact_dict(inputs),
        "--outputs", artifact_utils.jsonify_artifact_dict(outputs),
        "--exec-properties", json.dumps(dict(exec_properties), sort_keys=True),
    ]  # fmt: skip


@contextlib.contextmanager
def _kept(artifacts: Sequence[types.Artifact]) -> Iterator[None]:
    """Gives artifacts their own URIs back."""
    before = [artifact.uri for artifact in artifacts]
    try:
        yield
    finally:
        for artifact, uri in zip(artifacts, before, strict=True):
            artifact.uri = uri


def _all(artifacts: Artifacts) -> list[types.Artifact]:
    return [artifact for _, of in sorted(artifacts.items()) for artifact in of]
