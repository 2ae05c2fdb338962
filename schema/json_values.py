"""Conversion of numbers and arrays to values that JSON can hold."""

import math
from typing import Any


def json_values(value: Any) -> Any:
    """Converts NumPy values and tuples to built-in types, recursively; NaN and infinity to None."""
    if isinstance(value, dict):
        return {str(key): json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item) for item in value]
    if hasattr(value, "tolist"):  # an array or a scalar of NumPy
        return json_values(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
