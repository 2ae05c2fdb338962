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


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Predictions of the folds of shifted validation, for `fit_on: pooled`.

    Attributes:
      raw: float64 [m, classes], of the model that was trained without the image's fold.
      targets: float32 [m, classes].
      positive: int [m], 1 or 0.
      weights: float64 [m]; those of each side sum to half its number of validation images.
    """

    raw: np.ndarray
    targets: np.ndarray
    positive: np.ndarray
    weights: np.ndarray


def member_probabilities(logits: np.ndarray) -> np.ndarray:
    """Applies softmax to logits [n, members, classes]; returns float64 of the same shape."""
    n, members, classes = logits.shape
    return softmax(logits.reshape(n * members, classes), 1.0).reshape(n, members, classes)


def apply_calibration(
    raw: np.ndarray, calibrated: CalibrationResult, task: Task
) -> CalibrationResult:
    """Applies a fitted calibration to other images.

    Args:
      raw: float64 [m, classes], mean of the members' probabilities.
      calibrated: supplies temperature and operating point.
      task: its positive classes define the score.
    """
    probabilities = scale_probabilities(raw, calibrated.summary["temperature"])
    score = positive_score(probabilities, task.positive)
    return CalibrationResult(raw, probabilities, score, calibrated.summary)


def calibrate(
    logits: np.ndarray,
    targets: np.ndarray,
    positive: np.ndarray,
    task: Task,
    options: EvaluationOptions,
    out_of_fold: OutOfFoldPredictions | None = None,
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
      out_of_fold: fit temperature and operating point on these too. Ordinary validation and the
        folds have the same total weight on each side, so prevalence is that of validation. The
        referral band is chosen on validation. None: fit on validation.
    """
    raw = member_probabilities(logits).mean(axis=1)
    known = positive >= 0
    pool, pool_targets, pool_positive, weights = raw, targets, positive, None
    if out_of_fold is not None:
        pool = np.concatenate([raw, out_of_fold.raw])
        pool_targets = np.concatenate([targets, out_of_fold.targets])
        pool_positive = np.concatenate([positive, out_of_fold.positive])
        weights = np.concatenate([np.where(known, 0.5, 1.0), out_of_fold.weights])
    temperature = fit_temperature(log_probabilities(pool), pool_targets, weights)
    probabilities = scale_probabilities(raw, temperature)
    score = positive_score(probabilities, task.positive)
    point = choose_operating_point(
        pool_positive,
        positive_score(scale_probabilities(pool, temperature), task.positive),
        options.operating_point,
        weights,
    )
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
            "fit_on": "validation" if out_of_fold is None else "pooled",
            "auc": roc_auc_score(positive[known], score[known]),
            "before": quality(raw),
            "after": quality(probabilities),
        },
    )
