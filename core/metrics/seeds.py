"""Spread of metrics over ensemble members trained with different seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


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
