"""Metrics of a binary classifier, computed by scikit-learn.

Throughout, labels are int [n] with values 0 and 1, and scores are float [n], the probability of
class 1. A metric is NaN without images, with a missing class or with an empty denominator, where
scikit-learn raises or returns 0.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ConfusionCounts:
    """Counts of the confusion matrix at one threshold."""

    tp: int
    fp: int
    tn: int
    fn: int


def check_binary(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 and scores as float64.

    Raises:
      ValueError: lengths differ, a label is neither 0 nor 1, or a score is not finite; the message
        contains the value and its index.
    """
    y, s = np.asarray(labels), np.asarray(scores, np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(f"labels {y.shape} and scores {s.shape} must be 1-D and of equal length")
    for name, values, valid, problem in (
        ("label", y, np.isin(y, (0, 1)), "neither 0 nor 1"),
        ("score", s, np.isfinite(s), "not a number"),
    ):
        if not valid.all():
            at = int(np.argmin(valid))
            raise ValueError(f"{name} {values[at]} at index {at} is {problem}")
    return y.astype(np.int64), s


def confusion_counts(labels: np.ndarray, scores: np.ndarray, threshold: float) -> ConfusionCounts:
    """Counts correct and wrong predictions; a score at or above the threshold is positive."""
    from sklearn.metrics import confusion_matrix

    y, s = check_binary(labels, scores)
    tn, fp, fn, tp = confusion_matrix(y, s >= threshold, labels=[0, 1]).ravel().tolist()
    return ConfusionCounts(tp=tp, fp=fp, tn=tn, fn=fn)


def ratio(part: float, whole: float) -> float:
    """Returns part / whole; NaN if whole is 0."""
    return part / whole if whole else math.nan


def roc_auc_score(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve (Hanley & McNeil 1982); NaN unless both classes are present."""
    from sklearn.metrics import roc_auc_score

    y, s = check_binary(labels, scores)
    return float(roc_auc_score(y, s)) if len(np.unique(y)) == 2 else math.nan


def average_precision_score(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision, the sum of precisions weighted by recall steps; NaN without positives."""
    from sklearn.metrics import average_precision_score

    y, s = check_binary(labels, scores)
    return float(average_precision_score(y, s)) if y.any() else math.nan


def precision_recall_curve(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision-recall curve with one point per distinct score.

    Returns:
      recall [m], precision [m] and threshold [m] in descending order of threshold; empty without
      positives.
    """
    from sklearn.metrics import precision_recall_curve

    y, s = check_binary(labels, scores)
    if not y.any():
        return np.empty(0), np.empty(0), np.empty(0)
    precision, recall, thresholds = precision_recall_curve(y, s)
    # scikit-learn ends with the point (0, 1), which has no threshold.
    return recall[-2::-1], precision[-2::-1], thresholds[::-1]


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ROC curve with one point per distinct score, and (0, 0).

    Returns:
      false positive rate [m], true positive rate [m], threshold [m], from (0, 0) to (1, 1); the
      first threshold is infinite. Empty if a class is missing.
    """
    from sklearn import metrics

    y, s = check_binary(labels, scores)
    if len(np.unique(y)) < 2:
        return np.empty(0), np.empty(0), np.empty(0)
    fpr, tpr, thresholds = metrics.roc_curve(y, s, drop_intermediate=False)
    return fpr, tpr, thresholds


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of a reliability diagram: edges, number of images, mean score, share of positives."""

    low: float
    high: float
    n: int
    mean_score: float
    share_positive: float


def bin_index(scores: np.ndarray, bins: int = 10) -> np.ndarray:
    """Index of the bin of equal width, int [n]; a score on an edge belongs to the upper bin."""
    return np.digitize(scores, np.linspace(0, 1, bins + 1)[1:-1])


def calibration_curve(
    labels: np.ndarray, scores: np.ndarray, bins: int = 10
) -> list[CalibrationBin]:
    """Returns the non-empty bins of equal width, with the counts that scikit-learn omits."""
    y, s = check_binary(labels, scores)
    at, edges = bin_index(s, bins), np.linspace(0, 1, bins + 1).tolist()
    return [
        CalibrationBin(
            edges[i],
            edges[i + 1],
            int((at == i).sum()),
            float(s[at == i].mean()),
            float(y[at == i].mean()),
        )
        for i in np.unique(at).tolist()
    ]


def expected_calibration_error(labels: np.ndarray, scores: np.ndarray, bins: int = 10) -> float:
    """Mean gap between score and share of positives, weighted by bin size (Naeini et al., 2015)."""
    curve = calibration_curve(labels, scores, bins)
    distance = sum(b.n * abs(b.mean_score - b.share_positive) for b in curve)
    return ratio(distance, sum(b.n for b in curve))


def brier_score_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean squared difference of score and label (Brier, 1950)."""
    from sklearn.metrics import brier_score_loss

    y, s = check_binary(labels, scores)
    return float(brier_score_loss(y, s, pos_label=1)) if len(y) else math.nan


def binary_metrics(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Computes all binary metrics of the registry.

    Raises:
      ValueError: see `check_binary`.
    """
    c = confusion_counts(labels, scores, threshold)
    return {
        "auc": roc_auc_score(labels, scores),
        "auc_pr": average_precision_score(labels, scores),
        "accuracy": ratio(c.tp + c.tn, c.tp + c.fp + c.tn + c.fn),
        "sensitivity": ratio(c.tp, c.tp + c.fn),
        "specificity": ratio(c.tn, c.tn + c.fp),
        "precision": ratio(c.tp, c.tp + c.fp),
        "npv": ratio(c.tn, c.tn + c.fn),
        "f1": ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn),
        "brier": brier_score_loss(labels, scores),
        "ece": expected_calibration_error(labels, scores),
    }


def predictive_values(
    sensitivity: float, specificity: float, prevalence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictive values at another prevalence, by Bayes' rule.

    Sensitivity and specificity transfer to another population only if the spectrum of disease is
    similar (Ransohoff & Feinstein, 1978).

    Args:
      sensitivity: 0..1.
      specificity: 0..1.
      prevalence: float [k] in 0..1.

    Returns:
      PPV [k] and NPV [k]; NaN if no image has that prediction, or if an input is NaN.
    """
    p = np.asarray(prevalence, np.float64)
    tp, fn = sensitivity * p, (1 - sensitivity) * p
    tn, fp = specificity * (1 - p), (1 - specificity) * (1 - p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return tp / (tp + fp), tn / (tn + fn)
