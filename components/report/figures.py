"""Figures of training and of discrimination, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.metrics import confusion, pr_curve, roc_auc, roc_curve
from components.report.drawing import BLUE, GREY, INK, ORANGE, SERIES, figure, operating_point, png


def curve(histories: Mapping[str, Mapping[str, Any]], name: str) -> bytes:
    """One number by epoch, of train and validation, the chosen epoch marked.

    Args:
      histories: seed -> curves; the first is drawn strong, the others thin.
      name: "loss" or "accuracy".
    """
    made, axis = figure(4.6, 2.9)
    for i, history in enumerate(histories.values()):
        epochs = history.get("epochs") or []
        for key, label, colour in ((name, "train", GREY), (f"val_{name}", "validation", BLUE)):
            if history.get(key):  # dots too: one epoch is no line
                axis.plot(
                    epochs,
                    history[key],
                    color=colour,
                    label=None if i else label,
                    lw=0.7 if i else 1.8,
                    alpha=0.6 if i else 1.0,
                    marker=None if i and len(epochs) > 1 else ".",
                    ms=4,
                )
        best = history.get("best_epoch")
        if best and not i:
            axis.axvline(best, color=ORANGE, lw=1, ls="--", label=f"chosen epoch {best}")
    axis.set_xlabel("epoch", color=INK)
    axis.set_title(name, loc="left", fontsize=10, color=INK)
    axis.xaxis.get_major_locator().set_params(integer=True)
    if axis.lines:
        axis.legend(frameon=False, fontsize=8)
    return png(made)


def roc(told: Answers) -> bytes:
    """ROC curve of the score with the operating point."""
    made, axis = figure(4.2, 4.0)
    fpr, tpr, _ = roc_curve(told.positive, told.score)
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    if len(fpr):
        axis.plot(fpr, tpr, color=BLUE, lw=1.8)
        c = confusion(told.positive, told.score, told.threshold)
        operating_point(axis, c.fp / (c.fp + c.tn), c.tp / (c.tp + c.fn), told.threshold)
    else:
        axis.text(0.5, 0.5, "only one class", ha="center", color=INK)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    axis.set_xlabel("1 - specificity", color=INK)
    axis.set_ylabel("sensitivity", color=INK)
    return png(made)


def class_roc(labelled: Answers) -> bytes:
    """ROC curve of each class against the rest, and of each pair of positive classes."""
    made, axis = figure(4.2, 4.0)
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    y, p, classes = labelled.label, labelled.probabilities, labelled.of.classes
    for c, name in enumerate(classes):
        fpr, tpr, _ = roc_curve((y == c).astype(int), p[:, c])
        if len(fpr):
            area = roc_auc((y == c).astype(int), p[:, c])
            colour = SERIES[c % len(SERIES)]
            axis.plot(fpr, tpr, color=colour, lw=1.6, label=f"{name} against the rest {area:.3f}")
    if len(labelled.pair) == 2:
        i, j = labelled.pair
        among = (y == i) | (y == j)
        both = p[among, i] + p[among, j]
        share = np.divide(p[among, i], both, out=np.full(among.sum(), 0.5), where=both > 0)
        truth = (y[among] == i).astype(int)
        fpr, tpr, _ = roc_curve(truth, share)
        if len(fpr):
            name = f"{classes[i]} against {classes[j]}"
            label = f"{name} {roc_auc(truth, share):.3f}"
            axis.plot(fpr, tpr, color=INK, lw=1.4, ls="--", label=label)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    axis.set_xlabel("false positive rate", color=INK)
    axis.set_ylabel("true positive rate", color=INK)
    if len(axis.lines) > 1:
        axis.legend(frameon=False, fontsize=7.5, loc="lower right")
    return png(made)


def precision_recall(told: Answers) -> bytes:
    """Precision against sensitivity with the operating point; the dotted line is chance."""
    made, axis = figure(4.2, 4.0)
    recall, precision, _ = pr_curve(told.positive, told.score)
    if len(recall) and not told.positive.all():
        axis.axhline(float(told.positive.mean()), color=GREY, lw=0.8, ls=":")
        axis.plot(recall, precision, color=BLUE, lw=1.8)
        c = confusion(told.positive, told.score, told.threshold)
        if c.tp + c.fp:
            axis.plot(c.tp / (c.tp + c.fn), c.tp / (c.tp + c.fp), "o", color=ORANGE, ms=7)
    else:
        axis.text(0.5, 0.5, "only one class", ha="center", color=INK)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    axis.set_xlabel("sensitivity (recall)", color=INK)
    axis.set_ylabel("precision (PPV)", color=INK)
    return png(made)


def confusion_matrix(cells: np.ndarray, names: Sequence[str]) -> bytes:
    """Counts, and the share of the true class in each cell.

    Args:
      cells: int [C, C], row the true class, column the called one.
      names: of the C classes.
    """
    made, axis = figure(4.2, 4.0)
    classes = len(names)
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    size = {2: 12, 3: 10}.get(classes, 8)
    for i in range(classes):
        for j in range(classes):
            axis.text(
                j,
                i,
                f"{cells[i, j]}\n{shares[i, j]:.1%}",
                ha="center",
                va="center",
                fontsize=size,
                color="white" if shares[i, j] > 0.7 else INK,
            )
    shown = [name if len(name) <= 20 else name.replace(" or ", "\nor ") for name in names]
    at = list(range(classes))
    axis.set_xticks(at, [f"called\n{name}" for name in shown], fontsize=min(9, size))
    axis.set_yticks(
        at, [f"is {name}" for name in shown], rotation=90, va="center", fontsize=min(9, size)
    )
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return png(made)
