"""Decision curve of the test split: numbers and figure."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from core.metrics.decisions.decision_curve import decision_curve
from core.predictions.predictions import SplitPredictions
from core.reporting.figures import BLUE, GREY, INK, ORANGE, figure, png

_CURVES = ("model", "operating_point", "treat_all", "gain")


def decision_curve_section(
    predictions: SplitPredictions, resamples: int, seed: int
) -> dict[str, Any]:
    """Computes the decision curve; needs an image with a binary label.

    Returns:
      `points`: rows of `threshold`, and `model`, `operating_point`, `treat_all` and `gain` with
      intervals (see `DecisionCurve`); `useful`: the thresholds between which the interval of the
      gain is above 0, or None.
    """
    labeled = predictions.with_binary_label()
    curve = decision_curve(
        labeled.positive,
        labeled.score,
        labeled.patient,
        labeled.threshold,
        resamples=resamples,
        seed=seed,
    )
    useful = curve.useful_range()
    return {
        "useful": list(useful) if useful else None,
        "points": [
            {"threshold": float(t)} | {name: asdict(getattr(curve, name)[i]) for name in _CURVES}
            for i, t in enumerate(curve.thresholds)
        ],
    }


def net_benefit(points: Sequence[dict[str, Any]]) -> bytes:
    """Draws the net benefit over the threshold probability; the band is that of the model."""
    x = np.array([row["threshold"] for row in points])

    def values(name: str, end: str = "estimate") -> np.ndarray:
        return np.array([row[name][end] for row in points], np.float64)  # None becomes NaN

    model, high = values("model"), values("model", "high")
    top = max(0.05, 1.1 * float(np.nanmax(np.append(high, model), initial=0)))
    fig, ax = figure(
        "threshold probability",
        "net benefit",
        height=4.8,
        xlim=(0, 1),
        ylim=(-0.25 * top, top),
    )
    ax.fill_between(x, values("model", "low"), high, color=BLUE, alpha=0.15, lw=0)
    ax.plot(x, values("treat_all"), color=GREY, lw=1.4, label="all images positive")
    ax.axhline(0, color=INK, lw=1, ls=":", label="no image positive")
    point = values("operating_point")
    ax.plot(x, point, color=ORANGE, lw=1.6, ls="--", label="decisions at the operating point")
    ax.plot(x, model, color=BLUE, lw=1.8, label="model, thresholded at this probability")
    return png(fig, "below")
