"""Spread of the metrics over the members of an ensemble, which differ in their seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SeedSpread:
    """One metric over the members.

    Attributes:
      values: of each member; NaN where undefined, which the other numbers leave out.
      mean: arithmetic mean.
      low: minimum.
      high: maximum.
      sd: standard deviation with n - 1; NaN with fewer than two.
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    sd: float


def spread_over_seeds(members: Sequence[Mapping[str, float]]) -> dict[str, SeedSpread]:
    """Summarizes each metric over the members; a metric that a member lacks is NaN there."""
    found = {}
    for name in dict.fromkeys(name for member in members for name in member):
        values = np.array([member.get(name, math.nan) for member in members], np.float64)
        defined = values[np.isfinite(values)]
        some = len(defined) > 0
        found[name] = SeedSpread(
            values=tuple(values.tolist()),
            mean=float(defined.mean()) if some else math.nan,
            low=float(defined.min()) if some else math.nan,
            high=float(defined.max()) if some else math.nan,
            sd=float(defined.std(ddof=1)) if len(defined) > 1 else math.nan,
        )
    return found
