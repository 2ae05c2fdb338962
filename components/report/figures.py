"""Figures of the report, as PNG bytes. matplotlib is imported where it is used."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from components.evaluation.metrics import calibration_curve, confusion, pr_curve, roc_curve
from components.report.data import Predicted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, BLUE, ORANGE, GREY = "#1f2933", "#1f5fa8", "#c2571a", "#9aa5b1"


def _figure(width: float, height: float) -> tuple["Figure", Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.tick_params(colors=INK, labelsize=9)
    return figure, axis


def _png(figure: "Figure") -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def curve(history: dict[str, Any], name: str) -> bytes:
    """One number by epoch, of train and validation, with the chosen epoch marked."""
    figure, axis = _figure(4.6, 2.9)
    epochs = history["epochs"]
    for key, label, colour in ((name, "train", GREY), (f"val_{name}", "validation", BLUE)):
        if history.get(key):  # dots too: one epoch is no line
            axis.plot(epochs, history[key], color=colour, label=label, lw=1.8, marker=".", ms=4)
    best = history.get("best_epoch")
    if best:
        axis.axvline(best, color=ORANGE, lw=1, ls="--", label=f"chosen epoch {best}")
    axis.set_xlabel("epoch", color=INK)
    axis.set_title(name, loc="left", fontsize=10, color=INK)
    axis.xaxis.get_major_locator().set_params(integer=True)
    if axis.lines:
        axis.legend(frameon=False, fontsize=8)
    return _png(figure)


def roc(predicted: Predicted, threshold: float) -> bytes:
    """ROC curve with the operating point."""
    figure, axis = _figure(4.2, 4.0)
    fpr, tpr, _ = roc_curve(predicted.label, predicted.score)
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    if len(fpr):
        axis.plot(fpr, tpr, color=BLUE, lw=1.8)
        c = confusion(predicted.label, predicted.score, threshold)
        axis.plot(c.fp / (c.fp + c.tn), c.tp / (c.tp + c.fn), "o", color=ORANGE, ms=7)
        axis.annotate(
            f"threshold {threshold:g}",
            (c.fp / (c.fp + c.tn), c.tp / (c.tp + c.fn)),
            xytext=(10, -14),
            textcoords="offset points",
            fontsize=9,
            color=ORANGE,
        )
    else:
        axis.text(0.5, 0.5, "only one class", ha="center", color=INK)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    axis.set_xlabel("1 - specificity", color=INK)
    axis.set_ylabel("sensitivity", color=INK)
    return _png(figure)


def precision_recall(predicted: Predicted, threshold: float) -> bytes:
    """Precision against sensitivity with the operating point; the dotted line is chance."""
    figure, axis = _figure(4.2, 4.0)
    recall, precision, _ = pr_curve(predicted.label, predicted.score)
    if len(recall) and not predicted.label.all():
        axis.axhline(float(predicted.label.mean()), color=GREY, lw=0.8, ls=":")
        axis.plot(recall, precision, color=BLUE, lw=1.8)
        c = confusion(predicted.label, predicted.score, threshold)
        if c.tp + c.fp:
            axis.plot(c.tp / (c.tp + c.fn), c.tp / (c.tp + c.fp), "o", color=ORANGE, ms=7)
    else:
        axis.text(0.5, 0.5, "only one class", ha="center", color=INK)
    axis.set(xlim=(-0.01, 1.02), ylim=(-0.01, 1.02), aspect="equal")
    axis.set_xlabel("sensitivity (recall)", color=INK)
    axis.set_ylabel("precision (PPV)", color=INK)
    return _png(figure)


def confusion_matrix(predicted: Predicted, threshold: float, classes: tuple[str, str]) -> bytes:
    """Counts, and the share of the true class in each cell."""
    figure, axis = _figure(4.2, 4.0)
    c = confusion(predicted.label, predicted.score, threshold)
    cells = np.array([[c.tn, c.fp], [c.fn, c.tp]])
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for i in range(2):
        for j in range(2):
            axis.text(
                j,
                i,
                f"{cells[i, j]}\n{shares[i, j]:.1%}",
                ha="center",
                va="center",
                fontsize=12,
                color="white" if shares[i, j] > 0.7 else INK,
            )
    axis.set_xticks([0, 1], [f"called\n{name}" for name in classes], fontsize=9)
    axis.set_yticks(
        [0, 1], [f"is {name}" for name in classes], rotation=90, va="center", fontsize=9
    )
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return _png(figure)


def calibration(predicted: Predicted) -> bytes:
    """Share of positives by score, and how many images stand in each bin."""
    figure, axis = _figure(4.2, 4.0)
    bins = calibration_curve(predicted.label, predicted.score)
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    x = [b.mean_score for b in bins]
    y = [b.share_positive for b in bins]
    total = max(len(predicted), 1)
    axis.scatter(x, y, s=[12 + 240 * b.n / total for b in bins], color=BLUE, linewidths=0)
    for b in bins:
        axis.annotate(
            str(b.n),
            (b.mean_score, b.share_positive),
            xytext=(0, -9 if b.share_positive > 0.5 else 9),
            textcoords="offset points",
            ha="center",
            va="top" if b.share_positive > 0.5 else "bottom",
            fontsize=8,
            color=INK,
        )
    axis.set(xlim=(-0.02, 1.05), ylim=(-0.05, 1.05), aspect="equal")
    axis.set_xlabel("mean score of the bin", color=INK)
    axis.set_ylabel("share that is positive", color=INK)
    return _png(figure)


def thumbnail(content: bytes, side: int = 260) -> bytes | None:
    """A small gray JPEG of an image; None where it cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
            image = image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return out.getvalue()
