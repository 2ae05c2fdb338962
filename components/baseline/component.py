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

    `components.resolver` asks ML Metadata for the latest blessed model. Kubeflow Pipelines and
    Vertex AI run no resolver of this project; but only blessed models are pushed, so the folder of
    the pushed versions holds the same model. Must never be cached: no cache key covers that folder.

    Usage:
      baseline = Baseline(candidate=trainer.outputs["model"], push_to="gs://bucket/serving")

    Args:
      candidate: output of Trainer; it is not compared with itself.
      model: `Format-Serving/` of the version, if there is one, and always `found.json`.
      push_to: folder or URI of the pushed versions.
    """
    served = Path(path_utils.serving_model_path(candidate.uri))
    version = copy_blessed(push_to, served, Path(path_utils.serving_model_dir(model.uri)))
    # An object store has no empty folders: without this file the artifact would not exist.
    marker = Path(model.uri) / FOUND
    marker.parent.mkdir(parents=True, exist_ok=True)
    facts = {"found": bool(version), "version": version, "push_to": push_to}
    marker.write_text(json.dumps(facts, indent=1) + "\n")
    model.set_int_custom_property("found", int(bool(version)))
    model.set_string_custom_property("version", version)
