"""Copies the pushed model to beat into an artifact, or leaves one that says that there is none."""

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.baseline.marker import FOUND
from components.baseline.versions import copy_blessed


class Executor(base_executor.BaseExecutor):
    """Writes `Format-Serving/` of the version that was found, and `found.json` in any case."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Looks; see `components.baseline.versions.copy_blessed`."""
        push_to = str(exec_properties["push_to"])
        candidate = Path(
            path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["candidate"]))
        )
        model = artifact_utils.get_single_instance(output_dict["model"])
        dest = Path(path_utils.serving_model_dir(model.uri))
        version = copy_blessed(push_to, candidate, dest)
        # An object store has no empty folders: the artifact is there because of this file.
        Path(model.uri).mkdir(parents=True, exist_ok=True)
        told = {"found": bool(version), "version": version, "push_to": push_to}
        (Path(model.uri) / FOUND).write_text(json.dumps(told, indent=1) + "\n")
        model.set_int_custom_property("found", int(bool(version)))
        model.set_string_custom_property("version", version)
