"""Chooses the test images that the report shows."""

from typing import Any

import numpy as np

from core.predictions.predictions import SplitPredictions

MAX_EXAMPLES = 6  # of each kind


def example_rows(predictions: SplitPredictions, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Returns `sha256`, `filename`, `pathogen` and `score` of the first chosen images."""
    return [
        {
            "sha256": str(predictions.sha256[i]),
            "filename": str(predictions.filename[i]),
            "pathogen": str(predictions.pathogen[i]),
            "score": float(predictions.score[i]),
        }
        for i in chosen[:MAX_EXAMPLES]
    ]


def mistakes(predictions: SplitPredictions) -> dict[str, list[dict[str, Any]]]:
    """Returns the most confident mistakes.

    `missed` are positives with the lowest scores and `false_alarms` negatives with the highest.
    With more than two classes there is also `wrong_class`: the wrong class on the correct side of
    the threshold, highest probability first, with `predicted` and `probability`.
    """
    examples = {
        "missed": _by_score(predictions, label=1, predicted=0),
        "false_alarms": _by_score(predictions, label=0, predicted=1),
    }
    classes = predictions.task.classes
    if len(classes) > 2:
        labeled = predictions.with_class_label()
        predicted = labeled.predicted_label
        probability = labeled.probabilities[np.arange(len(labeled)), predicted]
        wrong = (predicted != labeled.label) & (labeled.predicted_positive == labeled.positive)
        order = np.argsort(-probability, kind="stable")
        chosen = order[wrong[order]]
        examples["wrong_class"] = [
            {**row, "predicted": classes[predicted[i]], "probability": float(probability[i])}
            for row, i in zip(example_rows(labeled, chosen), chosen, strict=False)
        ]
    return examples


def correct(predictions: SplitPredictions) -> dict[str, list[dict[str, Any]]]:
    """Returns the most confident correct predictions: `found` positives, `passed` negatives."""
    return {
        "found": _by_score(predictions, label=1, predicted=1),
        "passed": _by_score(predictions, label=0, predicted=0),
    }


def _by_score(predictions: SplitPredictions, label: int, predicted: int) -> list[dict[str, Any]]:
    """Most confident first: the highest scores if predicted positive, otherwise the lowest."""
    labeled = predictions.with_binary_label()
    order = np.argsort(labeled.score, kind="stable")
    if predicted:
        order = order[::-1]
    return example_rows(
        labeled,
        order[((labeled.positive == label) & (labeled.predicted_positive == predicted))[order]],
    )
