"""Drawn from TFDV's statistics: what was logged beside what was learned from."""

from typing import Any

import numpy as np

from components.monitor.drift import feature_of
from components.monitor.options import NUMBERS, WORDS
from components.monitor.two_sample import TwoSample
from components.report.drawing import BLUE, GREY, INK, ORANGE, figure, png

UNITS = {
    "brightness": "mean gray level, 0 to 255",
    "height": "height, pixels",
    "width": "width, pixels",
    "score": "score",
}


def drawn(statistics: dict[str, Any], test: TwoSample | None) -> dict[str, bytes]:
    """Name of a measure -> PNG; measures that one side lacks are missing."""
    found = {}
    for name in (*NUMBERS, *WORDS):
        side = "training" if name in ("brightness", "height", "width") else "validation"
        before = feature_of(statistics.get(side), name)
        if before is None:
            side = "training"
            before = feature_of(statistics.get(side), name)
        now = feature_of(statistics["log"], name)
        if before is not None and now is not None:
            found[name] = (
                _numbers(UNITS[name], side, before, now)
                if name in NUMBERS
                else _words(side, before, now)
            )
    if test is not None:
        found["embeddings"] = _null(test)
    return found


def _steps(feature: Any) -> tuple[np.ndarray, np.ndarray]:
    """Borders and shares of the bins, from TFDV's standard histogram."""
    (bins,) = (
        list(h.buckets)
        for h in feature.num_stats.histograms
        if h.type == 0  # STANDARD
    )
    borders = np.array([bins[0].low_value, *(b.high_value for b in bins)])
    counts = np.array([b.sample_count for b in bins])
    return borders, counts / max(counts.sum(), 1e-12)


def _numbers(unit: str, side: str, before: Any, now: Any) -> bytes:
    made, axis = figure(4.6, 2.9)
    for feature, colour, label in ((before, BLUE, side), (now, ORANGE, "log")):
        borders, shares = _steps(feature)
        if borders[-1] <= borders[0]:  # every image has the one value
            axis.axvline(borders[0], color=colour, lw=2, label=f"{label}: all {borders[0]:g}")
            continue
        density = shares / np.maximum(np.diff(borders), 1e-12)
        axis.stairs(density, borders, color=colour, lw=1.8, label=label)
        axis.stairs(density, borders, color=colour, alpha=0.15, fill=True)
    axis.set_xlabel(unit, color=INK, fontsize=9)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.margins(y=0.12)
    axis.legend(frameon=False, fontsize=8.5)
    return png(made)


def _words(side: str, before: Any, now: Any) -> bytes:
    def shares(feature: Any) -> dict[str, float]:
        counts = {b.label: b.sample_count for b in feature.string_stats.rank_histogram.buckets}
        total = sum(counts.values()) or 1.0
        return {word: count / total for word, count in counts.items()}

    first, second = shares(before), shares(now)
    every = sorted(first.keys() | second.keys())
    made, axis = figure(4.6, max(1.6, 0.62 * len(every) + 1.0))
    places = np.arange(len(every))
    for found, colour, label, shift in (
        (first, BLUE, side, -0.19),
        (second, ORANGE, "log", 0.19),
    ):
        values = [found.get(word, 0.0) for word in every]
        axis.barh(places + shift, values, 0.36, color=colour, label=label)
    axis.set_yticks(places, every)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_xlabel("share of images", color=INK, fontsize=9)
    axis.legend(frameon=False, fontsize=8.5)
    return png(made)


def _null(test: TwoSample) -> bytes:
    made, axis = figure(4.6, 2.9)
    axis.hist(test.null, 40, color=GREY, alpha=0.7, label="relabelled at random")
    axis.axvline(test.statistic, color=ORANGE, lw=2, label="log against training")
    axis.set_xlabel("squared maximum mean discrepancy", color=INK, fontsize=9)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.margins(y=0.25)
    axis.legend(frameon=False, fontsize=8.5, loc="upper right")
    return png(made)
