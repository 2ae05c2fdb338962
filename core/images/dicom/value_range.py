"""Finds the range of values to show where a file has no usable window."""

from math import isqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SAMPLED: Final = 1 << 20  # values
_TAIL_PERCENT: Final = 2  # at each end
_BORDER_PIXELS: Final = 64
_BORDER_PERCENT: Final = 2
_LEAST_CONTRAST: Final = 1 / 16  # of black to white


def value_range(values: NDArray[Any]) -> tuple[float, float]:
    """Returns the values that become black and white.

    Single values far outside of the others (hot or dead pixels) do not count: of the 2 % at each
    end, those that are farther from the rest than half the range of the rest. Nor does a border of
    one value that is farther from all others than they are from each other (undeclared padding).

    Args:
      values: float64 [n], at least one.
    """
    ordered = _without_border(np.sort(values))
    tail = ordered.size * _TAIL_PERCENT // 100
    low, high = ordered[tail], ordered[-1 - tail]
    if low == high:
        return float(ordered[0]), float(ordered[-1])
    reach = (high - low) / 2
    first = np.searchsorted(ordered, low - reach, "left")
    last = np.searchsorted(ordered, high + reach, "right") - 1
    return float(ordered[first]), float(ordered[last])


def sampled(values: NDArray[Any]) -> NDArray[Any]:
    """Returns every n-th row and column, so that at most some million values remain."""
    step = max(1, isqrt(values.size // _SAMPLED))
    return values[::step, ::step]


def shows_something(image: NDArray[np.float64]) -> bool:
    """Returns whether an image, 0 to 1, has contrast."""
    low, high = np.quantile(sampled(image), [0.01, 0.99])
    return bool(high - low >= _LEAST_CONTRAST)


def _without_border(ordered: NDArray[Any]) -> NDArray[Any]:
    """Removes a border from values in ascending order."""
    least = max(_BORDER_PIXELS, ordered.size * _BORDER_PERCENT // 100)
    below = int(np.searchsorted(ordered, ordered[0], "right"))
    above = ordered.size - int(np.searchsorted(ordered, ordered[-1], "left"))
    if least <= below < ordered.size:
        rest = ordered[below:]
        if rest[0] - ordered[0] > rest[-1] - rest[0] > 0:
            return rest
    if least <= above < ordered.size:
        rest = ordered[:-above]
        if ordered[-1] - rest[-1] > rest[-1] - rest[0] > 0:
            return rest
    return ordered
