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

THRESHOLDS = np.array([1, 2, *range(5, 100, 5), 98, 99]) / 100
_CURVES = ("model", "operating_point", "treat_all", "gain")


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit over threshold probabilities, with pointwise 95 % intervals.

    Attributes:
      thresholds: float [k], ascending, in 0..1.
      model: net benefit of the model whose threshold is t, [k].
      operating_point: net benefit of the decisions at the operating point, whatever t is, [k].
      treat_all: net benefit if all images count as positive, [k].
      gain: model minus the better of treating all and treating no one, [k].
    """

    thresholds: np.ndarray
    model: list[Interval]
    operating_point: list[Interval]
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
    operating_point: float,
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
      operating_point: threshold of the model's decisions.
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
        net_benefit_statistics(labels, scores, operating_point, t),
        groups,
        resamples=resamples,
        seed=seed,
    )
    curves = {name: [found[f"{name}/{i}"] for i in range(len(t))] for name in _CURVES}
    return DecisionCurve(t, **curves)


def net_benefit_statistics(
    labels: np.ndarray, scores: np.ndarray, operating_point: float, thresholds: np.ndarray
) -> Statistics:
    """Returns the net benefits as a function of weights, for the bootstrap.

    The names are those of the curves with the index of the threshold, as `model/0`.

    Raises:
      ValueError: see `check_binary`.
    """
    y, s = check_binary(labels, scores)
    order = np.argsort(-s, kind="stable")
    # Images at or above each threshold, the operating point and -inf, which treats all.
    at = np.concatenate([thresholds, [operating_point, -np.inf]])
    above = np.searchsorted(-s[order], -at, side="right")
    odds = thresholds / (1 - thresholds)

    def statistics(w: np.ndarray) -> Mapping[str, np.ndarray]:
        ordered = np.pad(w[:, order], ((0, 0), (1, 0)))
        positive = np.pad(y[order], (1, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            tp, fp = (
                np.cumsum(ordered * part, axis=1)[:, above] / w.sum(axis=1, keepdims=True)
                for part in (positive, 1 - positive)
            )
        model, point, treat_all = (
            tp[:, use] - fp[:, use] * odds for use in (np.s_[:-2], np.s_[-2:-1], np.s_[-1:])
        )
        gain = model - np.maximum(treat_all, 0)
        values = dict(zip(_CURVES, (model, point, treat_all, gain), strict=True))
        return {
            f"{name}/{i}": curve[:, i] for name, curve in values.items() for i in range(len(odds))
        }

    return statistics
