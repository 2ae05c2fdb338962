"""Draws what was measured beside what the model says."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scale.model import MEMORY, SECONDS, SHAPE, CostModel, Row

STUB_MEGAPIXELS, SMALL_GMAC = 0.001, 0.1  # the lines are of stubs and of the small trunk
BLUE, RED, GRAY = "#2b5c8a", "#b5402f", "#8a8a8a"
WORDS = {
    SECONDS: ("seconds of one core", "scale-seconds.png"),
    MEMORY: ("peak of resident memory, MiB", "scale-memory.png"),
}


def draw(model: CostModel, rows: Sequence[Row], folder: Path) -> None:
    """Writes one picture for time and one for memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    shown = [row for row in rows if row.megapixels < STUB_MEGAPIXELS and row.gmac < SMALL_GMAC]
    for quantity, (label, name) in WORDS.items():
        _draw(model, shown, quantity, label, folder / name)


def _draw(model: CostModel, rows: Sequence[Row], quantity: str, label: str, file: Path) -> None:
    import matplotlib.pyplot as plt

    steps = [step for step, shape in SHAPE.items() if quantity in shape]
    across = 5 if len(steps) > 9 else (len(steps) + 1) // 2
    figure, axes = plt.subplots(
        2, across, figsize=(2.9 * across, 5.6), sharex=True, sharey=True, squeeze=False
    )
    for axis, step in zip(axes.ravel(), steps, strict=False):
        _panel(axis, model, [r for r in rows if r.step == step], step, quantity)
    for axis in axes.ravel()[len(steps) :]:
        axis.set_visible(False)
    for axis in axes.ravel()[len(steps) - across : len(steps)]:  # the lowest of each column
        axis.set_xlabel("images of the step")
        axis.tick_params(labelbottom=True)
    figure.supylabel(label, fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0.01, 0, 1, 0.95))
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _panel(axis: Any, model: CostModel, rows: Sequence[Row], step: str, quantity: str) -> None:
    known = [row for row in rows if getattr(row, quantity)]
    axis.set_title(step, fontsize=10)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_axisbelow(True)
    axis.grid(True, which="major", color="#e4e4e4", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    if not known:
        return
    one, largest = known[0].load, max(row.images for row in known)
    for low, high, style, name in ((100, largest, "-", "model"),
                                   (largest, 3e6, "--", "model, extrapolated")):  # fmt: skip
        sizes = np.geomspace(low, high, 60)
        line = [model.predict(step, quantity, replace(one, images=n)) for n in sizes]
        axis.plot(sizes, line, color=BLUE, linewidth=1.4, linestyle=style, label=name)
    for held, color, marker, name in ((False, GRAY, "o", "measured, fitted"),
                                      (True, RED, "D", "measured, kept from the fit")):  # fmt: skip
        shown = [row for row in known if row.held == held]
        axis.scatter(
            [row.images for row in shown], [getattr(row, quantity) for row in shown],
            s=26, color=color, marker=marker, label=name, zorder=3,
        )  # fmt: skip
    for check in model.checks:
        if (check.step, check.quantity) == (step, quantity):
            axis.annotate(
                f"x{check.ratio:.2f}", (check.images, check.measured), fontsize=8, color=RED,
                xytext=(-8, 6), textcoords="offset points", ha="right",
            )  # fmt: skip
