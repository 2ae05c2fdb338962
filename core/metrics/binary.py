"""Metrics of a binary classifier, by scikit-learn; `binary_statistics` computes many resamples.

Throughout, labels are int [n] with values 0 and 1, and scores are float [n], the probability of
class 1. A metric is NaN without images, with a missing class or with an empty denominator, where
scikit-learn raises or returns 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from core.metrics.bootstrap import Interval, Statistics, clustered_bootstrap
from core.metrics.rates import rates_at


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


class WeightedAuc:
    """Area under the ROC curve for many rows of weights; sorts the scores once."""

    def __init__(self, positive: np.ndarray, scores: np.ndarray) -> None:
        s = np.asarray(scores, np.float64)
        self.order = np.argsort(-s, kind="stable")
        self.positive = np.asarray(positive, np.float64)[self.order]
        self.last = np.append(np.flatnonzero(np.diff(s[self.order])), len(s) - 1)

    def steps(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positives and negatives at or above each distinct score, [r, k] each."""
        if not len(self.order):
            return np.zeros((len(w), 1)), np.zeros((len(w), 1))
        ordered = w[:, self.order]
        positive = np.cumsum(ordered * self.positive, axis=1)[:, self.last]
        return positive, np.cumsum(ordered, axis=1)[:, self.last] - positive

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Computes the area [r] for weights [r, n]; NaN if a class is missing."""
        return trapezoid_auc(*self.steps(w))


def trapezoid_auc(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Applies the trapezoid rule to totals at or above each distinct score; ties count half."""
    dp = np.diff(positive, axis=1, prepend=0)
    dn = np.diff(negative, axis=1, prepend=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = ((positive - dp / 2) * dn).sum(axis=1)
        return np.asarray(whole / (positive[:, -1] * negative[:, -1]))


def binary_statistics(
    labels: np.ndarray, scores: np.ndarray, threshold: float
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns all binary metrics of the registry as a function of weights, for the bootstrap.

    Args:
      labels: int [n], 0 or 1.
      scores: float [n].
      threshold: a score at or above it is positive.

    Returns:
      The metrics of weights [r, n], and the images in the denominator of each proportion, bool [n].

    Raises:
      ValueError: see `check_binary`.
    """
    y, s = check_binary(labels, scores)
    predicted, ranked = s >= threshold, WeightedAuc(y == 1, s)
    cells = [(True, 1), (True, 0), (False, 0), (False, 1)]  # tp, fp, tn, fn
    counts = np.stack([(predicted == p) & (y == label) for p, label in cells], axis=1) * 1.0
    gaps = np.eye(10)[bin_index(s)] * (s - y)[:, None]

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        tp, fp, tn, fn = (w @ counts).T
        positive, negative = ranked.steps(w)
        above = positive + negative
        total = above[:, -1]
        specificity_at, sensitivity_at = rates_at(positive, negative)
        precision = np.divide(positive, above, out=np.zeros_like(above), where=above > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            gained = (precision * np.diff(positive, axis=1, prepend=0)).sum(axis=1)
            return {
                "auc": trapezoid_auc(positive, negative),
                "auc_pr": gained / positive[:, -1],
                "accuracy": (tp + tn) / total,
                "sensitivity": tp / (tp + fn),
                "specificity": tn / (tn + fp),
                "specificity_at_rate": specificity_at,
                "sensitivity_at_rate": sensitivity_at,
                "precision": tp / (tp + fp),
                "npv": tn / (tn + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "brier": (w @ (s - y) ** 2) / total,
                "ece": np.abs(w @ gaps).sum(axis=1) / total,
            }

    return statistics, {
        "accuracy": np.ones(len(y), bool),
        "sensitivity": y == 1,
        "specificity": y == 0,
        "specificity_at_rate": y == 0,
        "sensitivity_at_rate": y == 1,
        "precision": predicted,
        "npv": ~predicted,
    }


def binary_metrics(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Computes the metrics of `binary_statistics`.

    Raises:
      ValueError: see `check_binary`.
    """
    statistics, _ = binary_statistics(labels, scores, threshold)
    return {name: float(v[0]) for name, v in statistics(np.ones((1, len(labels)))).items()}


def bootstrap_binary_metrics(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    threshold: float,
    *,
    resamples: int = 2000,
    seed: int,
) -> dict[str, Interval]:
    """Confidence intervals of all metrics of `binary_statistics`.

    Raises:
      ValueError: no images, lengths differ, or a bad label or score.
    """
    statistics, shares = binary_statistics(labels, scores, threshold)
    if np.shape(groups) != np.shape(labels):
        raise ValueError(f"groups {np.shape(groups)} and labels {np.shape(labels)} differ")
    return clustered_bootstrap(statistics, groups, shares=shares, resamples=resamples, seed=seed)
