"""Statements that every page starts with."""

from collections.abc import Mapping
from typing import Any

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
    weights = (training or {}).get("weights") or {}
    if training and weights.get("kind") == "random":
        reason = f" ({weights['reason']})" if weights.get("reason") else ""
        lines.append(
            f"RANDOM WEIGHTS: {model or training.get('backbone')} was not pretrained{reason}; "
            "these numbers do not show what transfer learning achieves."
        )
    return lines
