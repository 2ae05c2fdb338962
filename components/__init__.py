"""Nodes of the graph: one folder for each that runs code of this project."""

from typing import Any

ARTIFACTS = ("BatchPredictions", "CardPage", "DataVerdict", "Predictions", "ReportPage")


def __getattr__(name: str) -> Any:
    """Returns an artifact type; loaded on demand, because the module imports TFX."""
    if name not in ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from components import artifacts

    return getattr(artifacts, name)
