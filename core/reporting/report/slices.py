"""Numbers on parts of the test split: by pathogen, source, image size and brightness."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from core.metrics.bootstrap import Interval
from core.metrics.registry import IN_SLICES
from core.predictions.metrics import class_intervals, score_intervals
from core.predictions.predictions import SplitPredictions

_UNDEFINED = Interval(np.nan, np.nan, np.nan, 0)


def slices(predictions: SplitPredictions, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Computes the numbers of each slice with intervals by patient.

    Returns:
      rows of `feature`, `value`, `images`, `patients` and `metrics`: sensitivity, specificity and
      accuracy of the decision, and class_accuracy with more than two classes. Images without a
      label in the task are in no slice.
    """
    rows = []
    for feature, value, part in parts(predictions.with_binary_label()):
        metrics = score_intervals(part, resamples, seed)
        names = [*IN_SLICES]
        if len(predictions.task.classes) > 2:
            metrics = metrics | class_intervals(part, resamples, seed)
            names.append("class_accuracy")
        rows.append(
            {
                "feature": feature,
                "value": value,
                "images": len(part),
                "patients": len(set(part.patient.tolist())),
                "metrics": {name: asdict(metrics.get(name, _UNDEFINED)) for name in names},
            }
        )
    return rows


def parts(predictions: SplitPredictions) -> Iterator[tuple[str, str, SplitPredictions]]:
    """Yields feature, value and predictions of each slice that is not empty."""
    for feature, values in (("pathogen", predictions.pathogen), ("source", predictions.source)):
        for value in sorted(set(values.tolist())):
            yield feature, str(value), predictions.where(values == value)
    megapixels = predictions.height * predictions.width / 1e6
    for feature, unit, numbers in (
        ("image size", "megapixels", megapixels),
        ("brightness", "mean gray", predictions.brightness),
    ):
        for value, chosen in thirds(numbers, unit):
            yield feature, value, predictions.where(chosen)


def thirds(values: np.ndarray, unit: str) -> list[tuple[str, np.ndarray]]:
    """Splits images into a lower, a middle and an upper third of a value, as far as ties allow.

    Returns:
      name and mask [n] of each third that is not empty; a single one if all values are equal.
    """
    if not len(values):
        return []
    digits = 3 if values.max() < 0.1 else 2 if values.max() < 10 else 0
    cuts = np.unique(np.quantile(values, (1 / 3, 2 / 3), method="higher"))
    third = np.searchsorted(cuts, values, side="right")
    result = []
    for i in np.unique(third):
        low, high = (f"{end(values[third == i]):.{digits}f}" for end in (np.min, np.max))
        result.append((f"{low} {unit}" if low == high else f"{low} to {high} {unit}", third == i))
    return result
