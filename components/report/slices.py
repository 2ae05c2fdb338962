"""The same numbers on parts of the test split: by pathogen, source, size and brightness."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.on_split import class_numbers, score_numbers
from components.report.plain import as_dict

_OF_SCORE = ("sensitivity", "specificity", "accuracy")


def slices(answers: Answers, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Numbers of each slice, with what is defined there and an interval by patient.

    Returns:
      rows of `feature`, `value`, `images`, `patients` and `metrics`: sensitivity, specificity and
      accuracy of the decision, and class_accuracy where there are more than two classes. An image
      whose side and class the task does not tell is in none.
    """
    rows = []
    several = len(answers.of.classes) > 2
    for feature, value, chosen in parts(answers.told()):
        found = score_numbers(chosen, resamples, seed)
        metrics = {name: as_dict(found[name]) for name in _OF_SCORE}
        if several:
            of_classes = class_numbers(chosen, resamples, seed)
            metrics["class_accuracy"] = (
                as_dict(of_classes["class_accuracy"])
                if of_classes
                else {"estimate": None, "low": None, "high": None, "resamples_used": 0,
                      "exact": False}
            )  # fmt: skip
        rows.append(
            {
                "feature": feature,
                "value": value,
                "images": len(chosen),
                "patients": len(set(chosen.patient.tolist())),
                "metrics": metrics,
            }
        )
    return rows


def parts(answers: Answers) -> Iterator[tuple[str, str, Answers]]:
    """Yields feature, value and the images of each slice that has any."""
    for feature, values in (("pathogen", answers.pathogen), ("source", answers.source)):
        for value in sorted(set(values.tolist())):
            yield feature, str(value), answers.where(values == value)
    megapixels = answers.height * answers.width / 1e6
    for feature, unit, numbers in (
        ("image size", "megapixels", megapixels),
        ("brightness", "mean gray", answers.brightness),
    ):
        for value, chosen in thirds(numbers, unit):
            yield feature, value, answers.where(chosen)


def thirds(values: np.ndarray, unit: str) -> list[tuple[str, np.ndarray]]:
    """Cuts numbers into a lower, a middle and an upper third, as far as ties allow.

    Args:
      values: float [n].
      unit: for the names.

    Returns:
      name and mask [n] of each third that has images; one where all values are equal, none where
      there are no values.
    """
    if not len(values):
        return []
    low, high = values.min(), values.max()
    digits = 3 if high < 0.1 else 2 if high < 10 else 0
    cuts = sorted({float(np.quantile(values, q, method="higher")) for q in (1 / 3, 2 / 3)} - {low})
    edges = [float(low), *cuts]
    found = []
    for i, start in enumerate(edges):
        last = i + 1 == len(edges)
        end = float(high) if last else edges[i + 1]
        chosen = (values >= start) & ((values <= end) if last else (values < end))
        first, final = f"{values[chosen].min():.{digits}f}", f"{values[chosen].max():.{digits}f}"
        name = f"{first} {unit}" if first == final else f"{first} to {final} {unit}"
        found.append((name, chosen))
    return found
