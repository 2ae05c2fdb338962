"""Chooses the test images that the report shows."""

from typing import Any

import numpy as np

from core.predictions.predictions import SplitPredictions

SHOWN = 6  # images of each kind


def rows(answers: SplitPredictions, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Returns `sha256`, `filename`, `pathogen` and `score` of the first chosen images."""
    return [
        {
            "sha256": str(answers.sha256[i]),
            "filename": str(answers.filename[i]),
            "pathogen": str(answers.pathogen[i]),
            "score": float(answers.score[i]),
        }
        for i in chosen[:SHOWN]
    ]


def mistakes(answers: SplitPredictions) -> dict[str, list[dict[str, Any]]]:
    """Returns the most confident mistakes.

    `missed` are positives with the lowest scores and `false_alarms` negatives with the highest.
    With more than two classes there is also `wrong_class`: correct side but wrong class, the most
    probable wrong class first, with `predicted` and `probability`.
    """
    found = {
        "missed": _by_score(answers, label=1, predicted=0),
        "false_alarms": _by_score(answers, label=0, predicted=1),
    }
    classes = answers.task.classes
    if len(classes) > 2:
        one = answers.with_class_label()
        predicted = one.predicted_label
        probability = one.probabilities[np.arange(len(one)), predicted]
        wrong = (predicted != one.label) & (one.predicted_positive == one.positive)
        order = np.argsort(-probability, kind="stable")
        chosen = order[wrong[order]]
        found["wrong_class"] = [
            {**row, "predicted": classes[predicted[i]], "probability": float(probability[i])}
            for row, i in zip(rows(one, chosen), chosen, strict=False)
        ]
    return found


def correct(answers: SplitPredictions) -> dict[str, list[dict[str, Any]]]:
    """Returns the most confident correct predictions: `found` positives, `passed` negatives."""
    return {
        "found": _by_score(answers, label=1, predicted=1),
        "passed": _by_score(answers, label=0, predicted=0),
    }


def _by_score(answers: SplitPredictions, label: int, predicted: int) -> list[dict[str, Any]]:
    """Most confident first: the highest scores if predicted positive, else the lowest."""
    sided = answers.with_binary_label()
    order = np.argsort(sided.score, kind="stable")
    if predicted:
        order = order[::-1]
    return rows(
        sided, order[((sided.positive == label) & (sided.predicted_positive == predicted))[order]]
    )
