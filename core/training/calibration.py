"""Chooses temperature, operating point and referral band on the validation split."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.metrics.binary import brier_score_loss, expected_calibration_error, roc_auc_score
from core.metrics.calibration import (
    fit_temperature,
    log_probabilities,
    negative_log_likelihood,
    positive_score,
    scale_probabilities,
    softmax,
)
from core.metrics.operating_point import choose_operating_point, referral_band
from core.metrics.options import EvaluationOptions
from schema.labels import Task


@dataclass(frozen=True)
class CalibrationResult:
    """Predictions and the calibration fitted to validation.

    Attributes:
      raw: float64 [n, classes], mean of the members' probabilities.
      probabilities: float64 [n, classes], after temperature scaling.
      score: float64 [n], total probability of the positive classes.
      summary: `temperature`, `threshold`, `band`, `operating_point`, `auc`, and under `before` and
        `after` the `ece` and `brier` of the score and the `nll` of the classes, on validation.
    """

    raw: np.ndarray
    probabilities: np.ndarray
    score: np.ndarray
    summary: dict[str, Any]


def member_probabilities(logits: np.ndarray) -> np.ndarray:
    """Applies softmax to logits [n, members, classes]; returns float64 of the same shape."""
    n, members, classes = logits.shape
    return softmax(logits.reshape(n * members, classes), 1.0).reshape(n, members, classes)


def apply_calibration(
    logits: np.ndarray, calibrated: CalibrationResult, task: Task
) -> CalibrationResult:
    """Applies a fitted calibration to other images.

    Args:
      logits: float [m, members, classes].
      calibrated: supplies temperature and operating point.
      task: its positive classes define the score.
    """
    raw = member_probabilities(logits).mean(axis=1)
    probabilities = scale_probabilities(raw, calibrated.summary["temperature"])
    score = positive_score(probabilities, task.positive)
    return CalibrationResult(raw, probabilities, score, calibrated.summary)


def calibrate(
    logits: np.ndarray,
    targets: np.ndarray,
    positive: np.ndarray,
    task: Task,
    options: EvaluationOptions,
) -> CalibrationResult:
    """Chooses temperature, operating point and referral band on validation.

    The ensemble predicts the mean of its members' probabilities (Lakshminarayanan et al., 2017).
    One temperature is fitted to that mean, not one to each member (Rahaman & Thiery, 2021).

    Args:
      logits: float [n, members, classes].
      targets: float [n, classes], see `class_targets`.
      positive: int [n]: 1, 0, or -1 if unknown.
      task: its positive classes define the score.
      options: rule of the operating point and share of referred images.
    """
    raw = member_probabilities(logits).mean(axis=1)
    temperature = fit_temperature(log_probabilities(raw), targets)
    probabilities = scale_probabilities(raw, temperature)
    score = positive_score(probabilities, task.positive)
    known = positive >= 0
    point = choose_operating_point(positive[known], score[known], options.operating_point)
    band = None
    if options.refer > 0:
        band = referral_band(positive[known], score[known], point.threshold, options.refer)

    def quality(predicted: np.ndarray) -> dict[str, float]:
        summed = positive_score(predicted, task.positive)
        return {
            "ece": expected_calibration_error(positive[known], summed[known]),
            "brier": brier_score_loss(positive[known], summed[known]),
            "nll": negative_log_likelihood(log_probabilities(predicted), targets),
        }

    return CalibrationResult(
        raw,
        probabilities,
        score,
        {
            "temperature": float(temperature),
            "threshold": float(point.threshold),
            "band": list(band) if band is not None else None,
            "operating_point": point.to_dict(),
            "auc": roc_auc_score(positive[known], score[known]),
            "before": quality(raw),
            "after": quality(probabilities),
        },
    )
