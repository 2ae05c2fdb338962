"""TFX nodes of this project, one folder each."""

from typing import Any

ARTIFACTS = (
    "BatchPredictions",
    "CardPage",
    "CorruptionResults",
    "DataVerdict",
    "Predictions",
    "ReportPage",
)


def __getattr__(name: str) -> Any:
    """Imports an artifact type on demand, because its module imports TFX."""
    if name not in ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from components import artifacts

    return getattr(artifacts, name)
