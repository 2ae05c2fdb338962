"""Reads values of a data set; errors quote the keyword, never the value."""

import math
from typing import Any

from core.images.errors import ImageError, reject


def value(dataset: Any, keyword: str) -> Any:
    """Returns the value under a keyword; None if it is missing or empty.

    Raises:
      ImageError: the value cannot be read.
    """
    try:
        content = dataset.get(keyword)
        empty = content is None or (hasattr(content, "__len__") and not len(content))
    except Exception:  # pydicom converts on access, and raises errors of every kind
        reject("corrupt", f"the value of {keyword} cannot be read")
    return None if empty else content


def numbers(dataset: Any, keyword: str) -> list[float]:
    """Returns all numbers under a keyword, [] if there is none.

    Raises:
      ImageError: a value is not a finite number.
    """
    content = value(dataset, keyword)
    if content is None:
        return []
    several = hasattr(content, "__len__") and not isinstance(content, str | bytes)
    try:
        out = [float(item) for item in (content if several else [content])]
    except Exception:
        reject("corrupt", f"the value of {keyword} is not a number")
    if not all(map(math.isfinite, out)):
        reject("corrupt", f"the value of {keyword} is not finite")
    return out


def is_present(dataset: Any, keyword: str) -> bool:
    """Returns whether there is a value, readable or not."""
    try:
        return value(dataset, keyword) is not None
    except ImageError:
        return True


def finite_numbers(dataset: Any, keyword: str) -> list[float]:
    """Returns all numbers under a keyword; [] if there is none or one is invalid."""
    try:
        return numbers(dataset, keyword)
    except ImageError:
        return []


def integer(dataset: Any, keyword: str, default: int | None = None) -> int:
    """Returns the integer under a keyword, or the default if it is missing.

    Raises:
      ImageError: the value is not one integer, or missing without a default.
    """
    values = numbers(dataset, keyword)
    if not values and default is not None:
        return default
    if len(values) != 1 or values[0] != int(values[0]):
        reject("corrupt", f"{keyword} is {'not an integer' if values else 'missing'}")
    return int(values[0])


def known_term(dataset: Any, keyword: str, known: frozenset[str]) -> str:
    """Returns the text under a keyword if it is a known term, otherwise ""."""
    try:
        text = str(value(dataset, keyword)).strip().upper()
    except Exception:
        return ""
    return text if text in known else ""
