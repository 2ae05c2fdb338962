"""Decision curve analysis (Vickers & Elkin, 2006, Med. Decis. Making 26).

The net benefit at threshold probability t is TP/n - FP/n * t/(1 - t), where a score at or above t
is positive. t states how many unnecessary treatments one found case is worth: at 0.1, nine.
Treating no one has net benefit 0. Net benefit depends on the prevalence of the split.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.metrics.binary import check_binary
from core.metrics.bootstrap import Interval, Statistics, clustered_bootstrap

THRESHOLDS = np.arange(1, 100) / 100
_CURVES = ("model", "treat_all", "gain")


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit over threshold probabilities, with pointwise 95 % intervals.

    Attributes:
      thresholds: float [k], ascending, in 0..1.
      model: net benefit of the model, [k].
      treat_all: net benefit if all images count as positive, [k].
      gain: model minus the better of treating all and treating no one, [k].
    """

    thresholds: np.ndarray
    model: list[Interval]
    treat_all: list[Interval]
    gain: list[Interval]

    def useful_range(self) -> tuple[float, float] | None:
        """Returns the ends of the longest run of thresholds with a gain whose interval is above 0.

        None if there is no such threshold.
        """
        useful = np.array([one.low > 0 for one in self.gain], bool)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], useful, [False]])))
        runs = edges.reshape(-1, 2)
        if not len(runs):
            return None
        start, stop = runs[np.argmax(runs[:, 1] - runs[:, 0])]
        return float(self.thresholds[start]), float(self.thresholds[stop - 1])


def decision_curve(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    thresholds: np.ndarray = THRESHOLDS,
    *,
    resamples: int = 2000,
    seed: int,
) -> DecisionCurve:
    """Computes the decision curve with a bootstrap over patients.

    Args:
      labels: int [n] of 0 and 1.
      scores: float [n], calibrated probabilities.
      groups: [n], patient of each image.
      thresholds: float [k], ascending, above 0 and below 1.
      resamples: number of resamples.
      seed: seed of the resampling.

    Raises:
      ValueError: no images, lengths differ, or an invalid label, score or threshold.
    """
    t = np.asarray(thresholds, np.float64)
    if not ((t > 0) & (t < 1)).all() or (np.diff(t) <= 0).any():
        raise ValueError(f"thresholds {t.tolist()} must be ascending, above 0 and below 1")
    if np.shape(groups) != np.shape(labels):
        raise ValueError(f"groups {np.shape(groups)} and labels {np.shape(labels)} differ")
    found = clustered_bootstrap(
        net_benefit_statistics(labels, scores, t), groups, resamples=resamples, seed=seed
    )
    curves = {name: [found[f"{name}/{i}"] for i in range(len(t))] for name in _CURVES}
    return DecisionCurve(t, **curves)


def net_benefit_statistics(
    labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray
) -> Statistics:
    """Returns the net benefits as a function of weights, for the bootstrap.

    The function returns `model/I`, `treat_all/I` and `gain/I`, where I is the index of the
    threshold.

    Raises:
      ValueError: see `check_binary`.
    """
    y, s = check_binary(labels, scores)
    order = np.argsort(-s, kind="stable")
    above = np.searchsorted(-s[order], -thresholds, side="right")  # images at or above each t
    odds = thresholds / (1 - thresholds)

    def statistics(w: np.ndarray) -> Mapping[str, np.ndarray]:
        ordered = w[:, order]
        n = w.sum(axis=1, keepdims=True)
        tp, positives = _counts(ordered * y[order], above)
        fp, negatives = _counts(ordered * (1 - y[order]), above)
        with np.errstate(divide="ignore", invalid="ignore"):
            model = tp / n - fp / n * odds
            treat_all = positives / n - negatives / n * odds
        gain = model - np.maximum(treat_all, 0)
        values = dict(zip(_CURVES, (model, treat_all, gain), strict=True))
        return {
            f"{name}/{i}": curve[:, i] for name, curve in values.items() for i in range(len(odds))
        }

    return statistics


def _counts(w: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the totals of the first `above` columns, [r, k], and of all, [r, 1]."""
    totals = np.cumsum(np.pad(w, ((0, 0), (1, 0))), axis=1)
    return totals[:, above], totals[:, -1:]
