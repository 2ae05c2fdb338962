"""Statements that every page starts with."""

from collections.abc import Mapping
from typing import Any

from core.models.backbone_weights import BackboneWeights

DISCLAIMER = "Research software, not a medical device. Do not use for decisions about patients."
SYNTHETIC = (
    "SYNTHETIC DATA: these radiographs were drawn by a program. The numbers show that the pipeline "
    "works and say nothing about real X-rays."
)


def notices(
    dataset: Mapping[str, Any] | None, training: Mapping[str, Any] | None, model: str = ""
) -> list[str]:
    """Returns warnings about synthetic data and random weights.

    Args:
      dataset: `dataset.json` of ingest.
      training: `training.json` of the Trainer.
      model: name of the model in the warning; the backbone if empty.
    """
    lines = []
    if dataset and dataset.get("synthetic"):
        lines.append(SYNTHETIC)
    for one in backbones(training):
        weights = one.get("weights") or {}
        backbone = BackboneWeights(weights.get("kind", ""), reason=weights.get("reason", ""))
        line = backbone.notice(model or one.get("backbone", ""))
        if line and line not in lines:
            lines.append(line)
    return lines


def backbones(training: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Returns the backbones in `training.json`, each with `backbone` and `weights`.

    Files of earlier versions describe the only one at the top level.
    """
    return (training.get("backbones") or [training]) if training else []
