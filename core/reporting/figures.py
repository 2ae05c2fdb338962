"""Figures that several pages share, as PNG bytes. Matplotlib is imported on first use."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.metrics.binary import calibration_curve, confusion_counts, roc_auc_score, roc_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, BLUE, ORANGE, GREY = "#1f2933", "#1f5fa8", "#c2571a", "#9aa5b1"
SERIES = (BLUE, ORANGE, "#2a7d4f", "#7b4fa3", "#8a6d1a", "#a33b5c")
_DASHES = ("-", "--", ":", "-.")  # distinguish more lines than colours, also in grey print
_UNIT = (-0.01, 1.02)
_CROWDED = 0.95  # AUC above which curves are hard to distinguish without an enlarged corner


@dataclass(frozen=True)
class Line:
    """Scores of one model on one split.

    Attributes:
      name: legend entry.
      labels: int [n] of 0 and 1.
      scores: float [n].
      threshold: operating point to mark; None: none.
      color: of the line.
      dash: Matplotlib line style.
    """

    name: str
    labels: np.ndarray
    scores: np.ndarray
    threshold: float | None = None
    color: str = BLUE
    dash: str = "-"


def style(index: int) -> tuple[str, str]:
    """Returns color and dash of the line with this index."""
    dash = _DASHES[(index // len(SERIES) + index) % len(_DASHES)]
    return SERIES[index % len(SERIES)], dash


def figure(
    x: str, y: str = "", *, width: float = 4.2, height: float = 4.0, **axes: Any
) -> tuple["Figure", Any]:
    """Creates a figure with one pair of axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(fig)
    ax = fig.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(colors=INK, labelsize=9)
    ax.set_xlabel(x, color=INK)
    if y:
        ax.set_ylabel(y, color=INK)
    else:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    ax.set(**axes)
    return fig, ax


def png(fig: "Figure", legend: str = "") -> bytes:
    """Renders a figure; equal figures give equal bytes.

    Args:
      fig: the figure.
      legend: location within the axes, or "below" them; empty: no legend.
    """
    (ax,) = fig.axes[:1]
    handles, labels = ax.get_legend_handles_labels()
    if handles and legend == "below":
        fig.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=8.5)
    elif handles and legend:
        ax.legend(frameon=False, fontsize=8, loc=legend)
    out = io.BytesIO()
    fig.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def empty(ax: Any, text: str) -> None:
    """Writes a remark in the middle of axes without data."""
    ax.text(0.5, 0.5, text, ha="center", color=INK, transform=ax.transAxes)


def mark(ax: Any, x: float, y: float, threshold: float | None = None, **line: Any) -> None:
    """Marks an operating point, with its threshold if given."""
    ax.plot(x, y, "o", **{"color": ORANGE, "ms": 7, "zorder": 5, **line})
    if threshold is not None:
        _note(ax, f"threshold {threshold:.3g}", (x, y), (10, -14), fontsize=9, color=ORANGE)


def _note(
    ax: Any, text: str, at: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    ax.annotate(text, at, xytext=offset, textcoords="offset points", **style)


def roc(lines: Sequence[Line]) -> bytes:
    """Draws ROC curves; a single one carries its threshold, several a legend with their AUC."""
    below = 0.26 * len(lines) if len(lines) > 1 else 0
    fig, ax = figure(
        "1 - specificity", "sensitivity", height=4.0 + below, xlim=_UNIT, ylim=_UNIT, aspect="equal"
    )
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    areas = [roc_auc_score(line.labels, line.scores) for line in lines]
    shown = [ax]
    if len(lines) > 1 and min(areas) > _CROWDED:
        corner = ax.inset_axes((0.36, 0.12, 0.6, 0.6), xlim=(-0.005, 0.2), ylim=(0.8, 1.005))
        corner.tick_params(labelsize=7)
        ax.indicate_inset_zoom(corner, edgecolor=GREY)
        shown.append(corner)
    for line, area in zip(lines, areas, strict=True):
        if not np.isfinite(area):
            continue
        fpr, tpr, _ = roc_curve(line.labels, line.scores)
        for at in shown:
            at.plot(
                fpr,
                tpr,
                color=line.color,
                ls=line.dash,
                lw=1.6,
                label=f"{line.name}, AUC {area:.3f}",
            )
            if line.threshold is not None:
                c = confusion_counts(line.labels, line.scores, line.threshold)
                point = c.fp / (c.fp + c.tn), c.tp / (c.tp + c.fn)
                if len(lines) == 1:
                    mark(at, *point, line.threshold)
                else:
                    mark(at, *point, color=line.color, ms=6)
    if not np.isfinite(areas).any():
        empty(ax, "only one class")
    return png(fig, "below" if len(lines) > 1 else "")


def calibration(lines: Sequence[Line], counts: bool = False) -> bytes:
    """Draws the share of positives by score; marks grow with the number of images."""
    fig, ax = figure(
        "mean score of the bin",
        "share of positives",
        height=4.0 + 0.26 * len(lines),
        xlim=(-0.02, 1.05),
        ylim=(-0.05, 1.05),
        aspect="equal",
    )
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    for i, line in enumerate(lines):
        bins = calibration_curve(line.labels, line.scores)
        x, y = [b.mean_score for b in bins], [b.share_positive for b in bins]
        ax.plot(x, y, color=line.color, ls=line.dash, lw=1.2, label=line.name)
        sizes = [10 + 200 * b.n / max(len(line.labels), 1) for b in bins]
        ax.scatter(x, y, s=sizes, color=line.color, linewidths=0, alpha=0.8)
        for b in bins if counts and i + 1 == len(lines) else ():
            at, low = (b.mean_score, b.share_positive), b.share_positive > 0.5
            style = {"ha": "center", "va": "top" if low else "bottom", "fontsize": 8}
            _note(ax, str(b.n), at, (0, -9 if low else 9), color=INK, **style)
    return png(fig, "below")
