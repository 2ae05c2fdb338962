"""Values of a data set, read with care: what can't be read is refused by its keyword alone."""

import math
from typing import Any

from core.images.errors import reject


def value(dataset: Any, keyword: str) -> Any:
    """What a data set holds under a keyword; None where it is absent or empty.

    Raises:
      ImageError: the value can't be read.
    """
    try:
        found = dataset.get(keyword)
        empty = found is None or (hasattr(found, "__len__") and not len(found))
    except Exception:  # pydicom converts on access, and raises errors of every kind
        reject("corrupt", f"the value of {keyword} can't be read")
    return None if empty else found


def numbers(dataset: Any, keyword: str) -> list[float]:
    """Finite numbers under a keyword, however many there are.

    Raises:
      ImageError: there is something else.
    """
    found = value(dataset, keyword)
    if found is None:
        return []
    several = hasattr(found, "__len__") and not isinstance(found, str | bytes)
    try:
        out = [float(one) for one in (found if several else [found])]
    except Exception:
        reject("corrupt", f"the value of {keyword} is no number")
    if not all(map(math.isfinite, out)):
        reject("corrupt", f"the value of {keyword} is not finite")
    return out


def number(dataset: Any, keyword: str) -> float | None:
    """The first number under a keyword: later windows, say, are alternatives."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def integer(dataset: Any, keyword: str, default: int | None = None) -> int:
    """One whole number.

    Raises:
      ImageError: there is something else, or nothing and no default.
    """
    found = numbers(dataset, keyword)
    if not found and default is not None:
        return default
    if len(found) != 1 or found[0] != int(found[0]):
        reject("corrupt", f"{keyword} is {'missing' if not found else 'no whole number'}")
    return int(found[0])


def word(dataset: Any, keyword: str, known: frozenset[str]) -> str:
    """A text where it is one of those that are known, otherwise "": free text stays inside."""
    try:
        found = value(dataset, keyword)
        text = str(found).strip().upper()
    except Exception:
        return ""
    return text if text in known else ""
