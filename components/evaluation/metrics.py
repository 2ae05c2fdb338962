"""Numbers of a binary classifier, as pure functions over arrays.

Throughout: labels int [n] of 0 and 1, scores float [n] (probability of class 1). A number that is
not defined (one class only, an empty denominator) is NaN, never 0.
"""

import math
from dataclasses import dataclass

import numpy as np

Labels = np.ndarray
Scores = np.ndarray


@dataclass(frozen=True)
class Confusion:
    """Counts at a threshold."""

    tp: int
    fp: int
    tn: int
    fn: int


def check(labels: Labels, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 and scores as float64.

    Raises:
      ValueError: lengths differ, a label is neither 0 nor 1, or a score is not a number; the
        message holds the value and its place.
    """
    y, s = np.asarray(labels), np.asarray(scores, np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(f"labels {y.shape} and scores {s.shape} must be two equal rows")
    if not np.isin(y, (0, 1)).all():
        at = int(np.argmin(np.isin(y, (0, 1))))
        raise ValueError(f"label {y[at]} at {at} is neither 0 nor 1")
    if not np.isfinite(s).all():
        at = int(np.argmin(np.isfinite(s)))
        raise ValueError(f"score {s[at]} at {at} is not a number")
    return y.astype(np.int64), s


def confusion(labels: Labels, scores: Scores, threshold: float) -> Confusion:
    """Counts, a score at or above the threshold being called positive."""
    y, s = check(labels, scores)
    called = s >= threshold
    return Confusion(
        tp=int((called & (y == 1)).sum()),
        fp=int((called & (y == 0)).sum()),
        tn=int((~called & (y == 0)).sum()),
        fn=int((~called & (y == 1)).sum()),
    )


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where there is no whole."""
    return part / whole if whole else math.nan


def roc_auc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve: P(score of a positive > of a negative), ties half.

    The Mann-Whitney statistic (Hanley & McNeil 1982).
    """
    y, s = check(labels, scores)
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = np.unique(s, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(labels: Labels, scores: Scores) -> float:
    """Area under the precision-recall curve, as a sum over steps of recall (no interpolation)."""
    recall, precision, _ = pr_curve(labels, scores)
    if not len(recall):
        return math.nan
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def pr_curve(labels: Labels, scores: Scores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the precision-recall curve, one for each distinct score.

    Returns:
      recall [m], precision [m], threshold [m], from the highest threshold to recall 1. Empty rows
      where there is no positive.
    """
    y, s = check(labels, scores)
    if not y.sum():
        return np.empty(0), np.empty(0), np.empty(0)
    order = np.argsort(-s, kind="stable")
    y, s = y[order], s[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    hits = np.cumsum(y)[last]
    return hits / hits[-1], hits / (last + 1), s[last]


def roc_curve(labels: Labels, scores: Scores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the ROC curve.

    Returns:
      false positive rate [m], true positive rate [m], threshold [m], from (0, 0) to (1, 1); the
      first threshold is infinite. Empty rows where a class is missing.
    """
    y, s = check(labels, scores)
    positives, negatives = int(y.sum()), int((1 - y).sum())
    if not positives or not negatives:
        return np.empty(0), np.empty(0), np.empty(0)
    order = np.argsort(-s, kind="stable")
    y, s = y[order], s[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    tpr = np.append(0.0, np.cumsum(y)[last] / positives)
    fpr = np.append(0.0, np.cumsum(1 - y)[last] / negatives)
    return fpr, tpr, np.append(np.inf, s[last])


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of a reliability diagram."""

    low: float
    high: float
    n: int
    mean_score: float
    share_positive: float


def calibration_curve(labels: Labels, scores: Scores, bins: int = 10) -> list[CalibrationBin]:
    """Mean score against share of positives in bins of equal width; empty bins are left out."""
    y, s = check(labels, scores)
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.digitize(s, edges[1:-1]), 0, bins - 1)
    return [
        CalibrationBin(
            float(edges[i]),
            float(edges[i + 1]),
            int((at == i).sum()),
            float(s[at == i].mean()),
            float(y[at == i].mean()),
        )
        for i in range(bins)
        if (at == i).any()
    ]


def expected_calibration_error(labels: Labels, scores: Scores, bins: int = 10) -> float:
    """Mean distance between score and share of positives, weighted by bin (Naeini et al. 2015)."""
    curve = calibration_curve(labels, scores, bins)
    total = sum(b.n for b in curve)
    if not total:
        return math.nan
    return float(sum(b.n * abs(b.mean_score - b.share_positive) for b in curve) / total)


def brier(labels: Labels, scores: Scores) -> float:
    """Mean squared distance between score and label (Brier 1950)."""
    y, s = check(labels, scores)
    return float(((s - y) ** 2).mean()) if len(y) else math.nan


def binary_metrics(labels: Labels, scores: Scores, threshold: float) -> dict[str, float]:
    """All numbers that the report shows, by name.

    Raises:
      ValueError: see `check`.
    """
    counts = confusion(labels, scores, threshold)
    tp, fp, tn, fn = counts.tp, counts.fp, counts.tn, counts.fn
    return {
        "auc": roc_auc(labels, scores),
        "auc_pr": average_precision(labels, scores),
        "accuracy": ratio(tp + tn, tp + fp + tn + fn),
        "sensitivity": ratio(tp, tp + fn),
        "specificity": ratio(tn, tn + fp),
        "precision": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "brier": brier(labels, scores),
        "ece": expected_calibration_error(labels, scores),
    }
