"""The monitoring page and its numbers."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.reporting.figures import BLUE, GREY, ORANGE, figure, png
from core.reporting.monitor.comparators import find_feature
from core.reporting.monitor.drift_report import DriftReport
from core.reporting.monitor.options import MEASURES, NUMBERS
from core.reporting.monitor.two_sample import TwoSample
from core.reporting.rendering import data_uri, render, write_page

_UNITS = {
    "brightness": "mean gray level, 0 to 255",
    "height": "height, pixels",
    "width": "width, pixels",
    "score": "score",
}
_EXPLANATIONS = {
    "brightness": "Mean gray level; depends on the detector, its processing and the window.",
    "height": "Depends on the device and on later steps such as resizing.",
    "width": "See height.",
    "score": "Probability predicted by the model; depends on the inputs and on the population.",
    "decision": "Shares of the decisions; they depend on the prevalence.",
    "status": "Rejected images, by reason.",
    "embeddings": "Squared MMD of the log, and what random relabelling gives.",
}


def write_monitor_page(verdict: DriftReport, folder: Path) -> tuple[Path, Path]:
    """Writes `monitor.html` and `monitor.json`, each atomically.

    Returns:
      paths of the page and of the numbers.
    """
    numbers = verdict.to_dict()
    page = render(
        "monitor.html.j2",
        numbers=numbers,
        pictures={name: data_uri(content) for name, content in draw(verdict).items()},
        explanations=_EXPLANATIONS,
        period=period(verdict.times),
    )
    return write_page(folder, "monitor", numbers, page)


def period(times: tuple[float, float] | None) -> str:
    """Formats the first and last time in UTC; empty if unknown."""
    first, last = (
        datetime.datetime.fromtimestamp(t, datetime.UTC).strftime("%Y-%m-%d %H:%M")
        for t in times or (0, 0)
    )
    return f"{first} to {last} UTC" if times else ""


def draw(verdict: DriftReport) -> dict[str, bytes]:
    """Draws the distribution of each measure beside its reference, as PNG."""
    pictures = {}
    for name in MEASURES:
        now = find_feature(verdict.statistics["log"], name)
        for side in ("training", "validation"):
            before = find_feature(verdict.statistics.get(side), name)
            if before is not None and now is not None:
                pair = {side: before, "log": now}
                pictures[name] = (
                    _histograms(_UNITS[name], pair) if name in NUMBERS else _shares(name, pair)
                )
    if verdict.embeddings is not None:
        pictures["embeddings"] = _null_distribution(verdict.embeddings)
    return pictures


def _histograms(unit: str, features: dict[str, Any]) -> bytes:
    fig, ax = figure(unit, width=4.6, height=2.9)
    for (label, feature), color in zip(features.items(), (BLUE, ORANGE), strict=True):
        (bins,) = (list(h.buckets) for h in feature.num_stats.histograms if h.type == h.STANDARD)
        edges = np.array([bins[0].low_value, *(b.high_value for b in bins)])
        counts = np.array([b.sample_count for b in bins])
        if edges[-1] <= edges[0]:
            ax.axvline(edges[0], color=color, lw=2, label=f"{label}: all {edges[0]:g}")
            continue
        density = counts / max(counts.sum(), 1e-12) / np.maximum(np.diff(edges), 1e-12)
        ax.stairs(density, edges, color=color, lw=1.8, label=label)
        ax.stairs(density, edges, color=color, alpha=0.15, fill=True)
    ax.margins(y=0.12)
    return png(fig, "best")


def _shares(name: str, features: dict[str, Any]) -> bytes:
    counts = [
        {b.label: b.sample_count for b in feature.string_stats.rank_histogram.buckets}
        for feature in features.values()
    ]
    labels = sorted(set().union(*counts))
    fig, ax = figure("share of images", name, width=4.6, height=max(1.6, 0.62 * len(labels) + 1.0))
    positions = np.arange(len(labels))
    for label, count, color, shift in zip(
        features, counts, (BLUE, ORANGE), (-0.19, 0.19), strict=True
    ):
        shares = [count.get(word, 0.0) / (sum(count.values()) or 1.0) for word in labels]
        ax.barh(positions + shift, shares, 0.36, color=color, label=label)
    ax.set_yticks(positions, labels)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    return png(fig, "best")


def _null_distribution(test: TwoSample) -> bytes:
    fig, ax = figure("squared maximum mean discrepancy", width=4.6, height=2.9)
    ax.hist(test.null, 40, color=GREY, alpha=0.7, label="relabelled at random")
    ax.axvline(test.statistic, color=ORANGE, lw=2, label="log against training")
    ax.margins(y=0.25)
    return png(fig, "upper right")
