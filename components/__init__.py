"""What the nodes of the graph do: one folder for each that has code of ours."""

import importlib
from typing import Any

# Artifact type -> the folder that has it. Kubeflow Pipelines knows an artifact type by a name with
# one dot, which TFX reads in the container as module and class again: `components.Predictions`.
ARTIFACTS = {
    "BatchPredictions": "batch_results",
    "CardPage": "model_card",
    "DataVerdict": "anomaly_gate",
    "Predictions": "scorer",
    "ReportPage": "report",
}


def __getattr__(name: str) -> Any:
    """The artifact types, loaded when asked for: their modules import TFX."""
    if name not in ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{ARTIFACTS[name]}.component"), name)
