"""The Baseline node."""

import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils

from components.baseline.versions import copy_blessed
from components.model_to_beat import FOUND


@component
def Baseline(
    candidate: InputArtifact[Model], model: OutputArtifact[Model], push_to: Parameter[str]
) -> None:
    """Copies the newest pushed version of the candidate's configuration and task.

    Local runs resolve the latest blessed model from ML Metadata (`BlessedBeforeStrategy`). Kubeflow
    Pipelines and Vertex AI cannot run that resolver. Only blessed models are pushed, so the newest
    pushed version is the same model. Disable the cache of this node: no cache key covers `push_to`.

    Usage:
      baseline = Baseline(candidate=trainer.outputs["model"], push_to="gs://bucket/serving")

    Args:
      candidate: output of Trainer; a pushed copy of it is skipped.
      model: output; `Format-Serving/` of the version if there is one, and `found.json`.
      push_to: folder or URI of the pushed versions.
    """
    served = Path(path_utils.serving_model_path(candidate.uri))
    version = copy_blessed(push_to, served, Path(path_utils.serving_model_dir(model.uri)))
    # Object stores have no empty folders: without this file the artifact would not exist.
    marker = Path(model.uri) / FOUND
    marker.parent.mkdir(parents=True, exist_ok=True)
    result = {"found": bool(version), "version": version, "push_to": push_to}
    marker.write_text(json.dumps(result, indent=1) + "\n")
    model.set_int_custom_property("found", int(bool(version)))
    model.set_string_custom_property("version", version)
