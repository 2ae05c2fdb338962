"""Values as JSON knows them."""

import math
from typing import Any

import numpy as np

from components.evaluation.bootstrap import Interval


def plain(value: Any) -> Any:
    """The same with Python's own types; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_dict(value: Interval) -> dict[str, Any]:
    """An interval for JSON."""
    return {
        "estimate": value.estimate,
        "low": value.low,
        "high": value.high,
        "resamples_used": value.resamples_used,
        "exact": value.exact,
    }
