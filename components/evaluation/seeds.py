"""How much a result owes to the seed: the members of an ensemble, side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """One metric over the members.

    Attributes:
      values: of each member.
      mean: of those that are defined; NaN where none is.
      low: the least.
      high: the largest.
      sd: standard deviation with n - 1; NaN with fewer than two.
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    sd: float


def spread(members: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Mean, least, largest and deviation of each metric over the members.

    Args:
      members: metric -> value, for each member. A metric that a member lacks is NaN there.
    """
    names = list(dict.fromkeys(name for member in members for name in member))
    found = {}
    for name in names:
        values = np.array([member.get(name, math.nan) for member in members], np.float64)
        defined = values[np.isfinite(values)]
        some = len(defined) > 0
        found[name] = Spread(
            values=tuple(values.tolist()),
            mean=float(defined.mean()) if some else math.nan,
            low=float(defined.min()) if some else math.nan,
            high=float(defined.max()) if some else math.nan,
            sd=float(defined.std(ddof=1)) if len(defined) > 1 else math.nan,
        )
    return found
