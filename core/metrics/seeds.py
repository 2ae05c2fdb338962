"""Spread of metrics over ensemble members, and how much the members agree."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.metrics.bootstrap import Statistics


@dataclass(frozen=True)
class SeedSpread:
    """Values of one metric over the ensemble members.

    Attributes:
      values: value of each member; NaN if undefined. The other fields ignore NaN.
      mean: arithmetic mean.
      low: minimum.
      high: maximum.
      sd: sample standard deviation; NaN with fewer than two values.
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    sd: float


def spread_over_seeds(members: Sequence[Mapping[str, float]]) -> dict[str, SeedSpread]:
    """Summarizes each metric over the members; a missing metric counts as NaN."""
    spreads = {}
    for name in dict.fromkeys(name for member in members for name in member):
        values = np.array([member.get(name, math.nan) for member in members], np.float64)
        defined = values[np.isfinite(values)]
        some = len(defined) > 0
        spreads[name] = SeedSpread(
            values=tuple(values.tolist()),
            mean=float(defined.mean()) if some else math.nan,
            low=float(defined.min()) if some else math.nan,
            high=float(defined.max()) if some else math.nan,
            sd=float(defined.std(ddof=1)) if len(defined) > 1 else math.nan,
        )
    return spreads


def log_odds_correlation(probabilities: np.ndarray) -> Statistics:
    """Returns the correlation of each two members' log-odds, for the bootstrap.

    The mean of members gains less the more they agree (Krogh & Vedelsby, 1995, NeurIPS).

    Args:
      probabilities: of one class or side, [n, members].

    Returns:
      weights [r, n] -> {"0-1": Pearson correlation [r] of members 0 and 1, ...}; NaN if a member
      gives all images the same probability.
    """
    p = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1 - 1e-12)
    z = np.log(p) - np.log1p(-p)
    z = z - z.mean(axis=0)  # for the precision of the sums below
    pairs = list(itertools.combinations(range(z.shape[1]), 2))

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        total = w.sum(axis=1, keepdims=True)
        mean = w @ z / total
        variance = w @ z**2 / total - mean**2
        variance[variance <= 1e-12] = math.nan
        return {
            f"{i}-{j}": ((w @ (z[:, i] * z[:, j])) / total[:, 0] - mean[:, i] * mean[:, j])
            / np.sqrt(variance[:, i] * variance[:, j])
            for i, j in pairs
        }

    return statistics
