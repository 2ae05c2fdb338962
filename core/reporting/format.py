"""Formats values for the pages and converts them to JSON types."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from core.metrics.bootstrap import Interval


def number(value: Any, digits: int = 3) -> str:
    """Formats a number; "not defined" for None, NaN and whatever is not a number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "not defined"
    return f"{value:z,.{digits}f}"  # z: no negative zero


def count(value: int | None) -> str:
    """Formats a count with thousands separators."""
    return "unknown" if value is None else f"{value:,}"


def score(value: float) -> str:
    """Formats a probability; values just below 1 or above 0 are not rounded to certainty."""
    if 0 < value < 0.001:
        return "below 0.001"
    if 0.999 < value < 1:
        return "above 0.999"
    return f"{value:.3f}"


def p_value(value: float | None) -> str:
    """Formats a p value; small ones are not rounded to 0."""
    return "below 0.001" if value is not None and value < 0.001 else number(value)


def signed(value: float | None) -> str:
    """Formats a difference with its sign."""
    if value is None:
        return "not defined"
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}"


def bounds(value: Mapping[str, Any]) -> str:
    """Formats the ends of an interval, as "0.930 to 0.970"; empty without an estimate."""
    if value.get("estimate") is None:
        return ""
    if value.get("low") is None or value.get("high") is None:
        return "no interval"
    return f"{number(value['low'])} to {number(value['high'])}" + "†" * bool(value.get("exact"))


def interval(value: Mapping[str, Any] | None, resamples: int | None = None) -> str:
    """Formats an estimate with its interval, as "0.950 (0.930 to 0.970)".

    Args:
      value: `estimate`, `low`, `high`; optionally `exact` and `resamples_used`.
      resamples: how many were drawn; fewer that define the metric are mentioned.
    """
    if not value or value.get("estimate") is None:
        return "not defined"
    ends = bounds(value)
    mark = "†" if ends.endswith("†") else ""
    used = value.get("resamples_used", resamples)
    few = f"; {used} resamples" if resamples and used != resamples and ends != "no interval" else ""
    return f"{number(value['estimate'])} ({ends.removesuffix('†')}{few}){mark}"


def duration(seconds: float | None) -> str:
    """Formats seconds, as "12 min 13 s"."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def spaced(name: str) -> str:
    """Replaces underscores by spaces."""
    return name.replace("_", " ")


def counts(values: Mapping[str, int]) -> str:
    """Formats counts by name, as "3 truncated, 1 not an image"."""
    return ", ".join(f"{n:,} {spaced(name)}" for name, n in values.items())


def numeric(heads: Iterable[Any], prefix: str = "") -> list[str]:
    """Marks heads of columns of numbers for the macro `table`."""
    return [f"#{prefix}{head}" for head in heads]


def capitalized(text: str) -> str:
    """Raises the first letter only."""
    return text[:1].upper() + text[1:]


def basename(path: str) -> str:
    """Returns the last part of a path."""
    return path.rsplit("/", 1)[-1]


def intervals(values: Mapping[str, Interval], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Converts the intervals of some metrics, or of all, to dictionaries."""
    return {name: asdict(values[name]) for name in names or values}


def bootstrap_settings(resamples: int, seed: int) -> dict[str, Any]:
    """Describes the intervals of a page."""
    return {"resamples": resamples, "seed": seed, "level": 0.95, "unit": "patient"}


_NUMERIC = (number, count, score, p_value, signed, bounds, interval, duration)
_TEXT = (spaced, counts, capitalized, numeric, basename)
FILTERS = {f.__name__: f for f in (*_NUMERIC, *_TEXT)}
