"""Figure of the stress test, for the report and the model card."""

import math
from collections.abc import Mapping
from typing import Any

from core.images.corruptions import LEVELS
from core.reporting.figures import BLUE, GREY, INK, ORANGE, figure, png

_MARKS = {"mild": (GREY, "o"), "moderate": (BLUE, "s"), "severe": (INK, "^")}


def stress_test_drops(results: Mapping[str, Any]) -> bytes:
    """Draws the drop of AUC with its interval for each corruption and level.

    The largest moderate drop is at the top. Moderate levels at or above the bar are orange.

    Args:
      results: content of `corruptions.json`, with None for undefined values.
    """
    rows = {
        (row["corruption"], row["level"]): row["drops"]["auc"] for row in results["corruptions"]
    }
    names = list(dict.fromkeys(name for name, _ in rows))
    names.sort(key=lambda name: _estimate(rows.get((name, "moderate"))))
    fig, ax = figure("drop of AUC", width=6.4, height=0.9 + 0.38 * len(names))
    ax.axvline(0, color=GREY, lw=0.8)
    ax.axvline(
        results["bar"], color=ORANGE, lw=1, ls="--", label=f"bar for moderate: {results['bar']:g}"
    )
    for i, level in enumerate(LEVELS):
        color, marker = _MARKS[level]
        for at, name in enumerate(names):
            drop = rows.get((name, level))
            if drop is None or drop["estimate"] is None:
                continue
            missed = level == "moderate" and drop["estimate"] >= results["bar"]
            y, shown = at + 0.22 * (1 - i), ORANGE if missed else color
            if drop["low"] is not None:
                ax.plot([drop["low"], drop["high"]], [y, y], color=shown, lw=1.4)
            ax.plot(drop["estimate"], y, marker, color=shown, ms=5)
        ax.plot([], [], marker, color=color, ms=5, label=level)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color=GREY, lw=0.3, alpha=0.6)
    return png(fig, "lower right")


def _estimate(drop: Mapping[str, Any] | None) -> float:
    """Returns the drop; minus infinity if there is none."""
    if drop is None or drop["estimate"] is None:
        return -math.inf
    return float(drop["estimate"])
