"""Intervals that respect that images of one patient are not independent."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.metrics import binary_metrics, check

_BINS = 10


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile interval.

    Attributes:
      estimate: on the data as they are.
      low: lower end; NaN where no resample defined the metric.
      high: upper end.
      resamples_used: resamples in which the metric is defined; the others are left out.
      exact: the ends are not percentiles but exact bounds, see `exact_bounds`.
    """

    estimate: float
    low: float
    high: float
    resamples_used: int
    exact: bool = False


def clustered_bootstrap(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    threshold: float,
    *,
    resamples: int = 2000,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals from resampling whole patients with replacement.

    The cluster bootstrap of Field & Welsh (2007, J. R. Stat. Soc. B 69), percentile interval of
    Efron (1979). A resample is a row of weights: how often each patient was drawn; every metric is
    computed from weights for many resamples at once.

    Where a share is 0 or 1 every resample repeats it, and the percentiles would claim certainty;
    there the exact bounds over patients stand instead.

    Args:
      labels: int [n] of 0 and 1.
      scores: float [n].
      groups: [n], any values; equal values are one patient.
      threshold: of the decision.
      resamples: how many.
      seed: of the draws.
      level: of the interval.

    Raises:
      ValueError: no images, lengths differ, or a bad label or score.
    """
    y, s = check(labels, scores)
    if not len(y):
        raise ValueError("no images: an interval needs at least one")
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    if patient.shape != y.shape:
        raise ValueError(f"groups {patient.shape} and labels {y.shape} must be two equal rows")
    estimates = binary_metrics(y, s, threshold)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in estimates}
    prepared = _Prepared(y, s, threshold)
    for weights in patient_weights(patient, resamples, seed):
        for name, values in prepared.metrics(weights).items():
            drawn[name].append(values)
    tail = (1 - level) / 2
    called = s >= threshold
    counted = {
        "accuracy": np.ones(len(y), bool),
        "sensitivity": y == 1,
        "specificity": y == 0,
        "precision": called,
        "npv": ~called,
    }
    found = {}
    for name, chunks in drawn.items():
        interval = interval_of(estimates[name], np.concatenate(chunks), tail)
        if name in counted and interval.estimate in {0.0, 1.0}:
            patients = len(np.unique(patient[counted[name]]))
            low, high = exact_bounds(interval.estimate, patients, level)
            interval = replace(interval, low=low, high=high, exact=True)
        found[name] = interval
    return found


def exact_bounds(share: float, patients: int, level: float = 0.95) -> tuple[float, float]:
    """Bounds of a share that was 0 or 1 in all of so many patients.

    Clopper & Pearson (1934, Biometrika 26), two-sided, with the patient as the unit: images of one
    patient count once, which errs on the wide side.

    Args:
      share: 0 or 1.
      patients: how many, at least 1.
      level: of the interval.

    Raises:
      ValueError: the share is neither 0 nor 1, or there is no patient.
    """
    if share not in {0.0, 1.0} or patients < 1:
        raise ValueError(f"exact bounds need a share of 0 or 1 and patients: {share}, {patients}")
    reach = ((1 - level) / 2) ** (1 / patients)
    return (reach, 1.0) if share == 1.0 else (0.0, 1 - reach)


def interval_of(estimate: float, values: np.ndarray, tail: float) -> Interval:
    """The percentile interval of the resamples in which a number is defined."""
    defined = values[np.isfinite(values)]
    if not len(defined) or not math.isfinite(estimate):
        return Interval(estimate, math.nan, math.nan, len(defined))
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Interval(estimate, float(low), float(high), len(defined))


def patient_weights(patient: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Chunks of weights [r, n]: how often the patient of each image was drawn."""
    rng = np.random.default_rng(seed)
    patients = int(patient.max()) + 1
    chunk = max(1, 4_000_000 // max(len(patient), patients))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        counts = rng.multinomial(patients, np.full(patients, 1 / patients), size=rows)
        yield counts[:, patient].astype(np.float64)


class RankedAuc:
    """Area under the ROC curve for many rows of weights; order and ties are found once."""

    def __init__(self, positive: np.ndarray, scores: np.ndarray) -> None:
        s = np.asarray(scores, np.float64)
        self.order = np.argsort(-s, kind="stable")
        self.positive = np.asarray(positive, np.float64)[self.order]
        self.last = np.append(np.flatnonzero(np.diff(s[self.order])), len(s) - 1)

    def steps(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positives and negatives at or above each distinct score, [r, k] each."""
        ordered = w[:, self.order]
        positive = np.cumsum(ordered * self.positive, axis=1)[:, self.last]
        negative = np.cumsum(ordered * (1 - self.positive), axis=1)[:, self.last]
        return positive, negative

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Weights [r, n] -> area [r]; NaN where a class is missing."""
        if not len(self.order):
            return np.full(len(w), np.nan)
        return area(*self.steps(w))


def area(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """The trapezoid over totals above each distinct score; it counts ties half."""
    dp = np.diff(positive, axis=1, prepend=0)
    dn = np.diff(negative, axis=1, prepend=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = ((positive - dp / 2) * dn).sum(axis=1)
        return np.asarray(whole / (positive[:, -1] * negative[:, -1]))


class _Prepared:
    """What does not depend on the resample: order by score, ties, decisions, bins."""

    def __init__(self, y: np.ndarray, s: np.ndarray, threshold: float) -> None:
        self.y, self.s = y, s
        self.called = s >= threshold
        self.ranked = RankedAuc(y == 1, s)
        self.bins = np.clip(np.digitize(s, np.linspace(0, 1, _BINS + 1)[1:-1]), 0, _BINS - 1)

    def metrics(self, w: np.ndarray) -> dict[str, np.ndarray]:
        """Weights [r, n] -> name -> value [r]; NaN where not defined."""
        y, called = self.y, self.called
        tp, fn = w @ (called & (y == 1)), w @ (~called & (y == 1))
        fp, tn = w @ (called & (y == 0)), w @ (~called & (y == 0))
        positive, negative = self.ranked.steps(w)
        dp = np.diff(positive, axis=1, prepend=0)
        total_p, total_n = positive[:, -1], negative[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = positive + negative
            precision = np.where(drawn > 0, positive / drawn, 0.0)
            error = np.zeros(len(w))
            for b in range(_BINS):
                inside = self.bins == b
                error += np.abs(w[:, inside] @ (self.s[inside] - y[inside]))
            total = total_p + total_n
            return {
                "auc": area(positive, negative),
                "auc_pr": (precision * dp).sum(axis=1) / total_p,
                "accuracy": (tp + tn) / total,
                "sensitivity": tp / (tp + fn),
                "specificity": tn / (tn + fp),
                "precision": tp / (tp + fp),
                "npv": tn / (tn + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "brier": (w @ (self.s - y) ** 2) / total,
                "ece": error / total,
            }
