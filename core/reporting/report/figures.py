"""Figures of the report, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.metrics.binary import confusion_counts, precision_recall_curve, predictive_values
from core.metrics.boxes import average_precision, froc
from core.metrics.boxes.summary import froc_name
from core.metrics.decisions.risk_coverage import risk_coverage
from core.metrics.multiclass import pair_share
from core.predictions.predictions import SplitPredictions
from core.reporting import figures
from core.reporting.figures import BLUE, GREY, INK, ORANGE, Line, empty, figure, mark, png
from core.reporting.report.decisions.net_benefit import net_benefit
from core.reporting.report.reliability import correctness, raw_score

_UNIT = (-0.01, 1.03)
_FEWEST = 1 / 16  # false boxes per image; the logarithmic axis starts here


def draw_all(
    predictions: SplitPredictions, val: SplitPredictions | None, numbers: Mapping[str, Any]
) -> dict[str, bytes]:
    """Draws every figure of the test split."""
    labeled, counts = predictions.with_binary_label(), numbers["confusion"]
    cells = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]])
    line = Line("as served", labeled.positive, labeled.score, labeled.threshold)
    raw = Line("before temperature scaling", labeled.positive, raw_score(labeled), color=GREY)
    drawn = {
        "roc": figures.roc([line]),
        "pr": precision_recall(line),
        "confusion": confusion_matrix(cells, numbers["sides"]),
        "decision_curve": net_benefit(numbers["decision_curve"]["points"]),
        "calibration": figures.calibration([raw, line], counts=True),
        "prevalence": over_prevalence(
            numbers["metrics"], numbers["test"]["positives"] / numbers["test"]["images"]
        ),
    }
    if numbers["coverage"]:
        drawn["coverage"] = risk_over_coverage(predictions)
    if numbers.get("classes_on_test"):
        matrix = np.array(numbers["classes_on_test"]["matrix"])
        drawn["class_roc"] = figures.roc(class_lines(predictions.with_class_label()))
        drawn["class_confusion"] = confusion_matrix(matrix, numbers["classes"])
    if numbers.get("boxes"):
        drawn["froc"] = froc_curve(predictions, numbers["boxes"]["metrics"])
        drawn["box_pr"] = box_precision_recall(predictions)
    if val is not None:
        drawn["shift"] = score_distributions(val.with_binary_label(), labeled, numbers["sides"])
    return drawn


def training_curve(histories: Mapping[str, Mapping[str, Any]], name: str) -> bytes:
    """Draws loss or accuracy by epoch; the first seed strong, the others thin."""
    fig, ax = figure("epoch", name, width=4.6, height=2.9)
    for i, history in enumerate(histories.values()):
        epochs = history.get("epochs") or []
        for key, label, color in ((name, "train", GREY), (f"val_{name}", "validation", BLUE)):
            if history.get(key):  # marks too: one epoch is no line
                line = {"lw": 0.7, "alpha": 0.6} if i else {"lw": 1.8, "label": label}
                marker = None if i and len(epochs) > 1 else "."
                ax.plot(epochs, history[key], color=color, marker=marker, ms=4, **line)
        best = history.get("best_epoch")
        if best and not i:
            ax.axvline(best, color=ORANGE, lw=1, ls="--", label=f"chosen epoch {best}")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return png(fig, "best")


def class_lines(labeled: SplitPredictions) -> list[Line]:
    """Returns each class against the rest, and the first pair of positive classes."""
    y, p, classes = labeled.label, labeled.probabilities, labeled.task.classes
    lines = [
        Line(f"{name} against the rest", (y == c).astype(int), p[:, c], None, *figures.style(c))
        for c, name in enumerate(classes)
    ]
    if len(labeled.pair) == 2:
        i, j = labeled.pair
        among = (y == i) | (y == j)
        share = pair_share(p[among, i], p[among, j])
        name = f"{classes[i]} against {classes[j]}"
        lines.append(Line(name, (y[among] == i).astype(int), share, color=INK, dash="--"))
    return lines


def precision_recall(line: Line) -> bytes:
    """Draws precision over sensitivity with the operating point; the dotted line is chance."""
    fig, ax = figure("sensitivity (recall)", "precision (PPV)", xlim=_UNIT, ylim=_UNIT)
    recall, ppv, _ = precision_recall_curve(line.labels, line.scores)
    if len(recall) and not line.labels.all():
        ax.axhline(float(line.labels.mean()), color=GREY, lw=0.8, ls=":")
        ax.plot(recall, ppv, color=BLUE, lw=1.8)
        c = confusion_counts(line.labels, line.scores, float(line.threshold or 0))
        if c.tp + c.fp:
            mark(ax, c.tp / (c.tp + c.fn), c.tp / (c.tp + c.fp))
    else:
        empty(ax, "only one class")
    return png(fig)


def confusion_matrix(cells: np.ndarray, names: Sequence[str]) -> bytes:
    """Draws counts and shares of the true class (rows); columns are predicted classes."""
    from sklearn.metrics import ConfusionMatrixDisplay

    fig, ax = figure("predicted", "true")
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    shown = [name if len(name) <= 20 else name.replace(" or ", "\nor ") for name in names]
    size = {2: 12, 3: 10}.get(len(names), 8)
    display = ConfusionMatrixDisplay(shares, display_labels=shown)
    display.plot(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        im_kw={"vmin": 0, "vmax": 1.25},
        text_kw={"fontsize": size},
    )
    for (i, j), share in np.ndenumerate(shares):
        display.text_[i, j].set(
            text=f"{cells[i, j]}\n{share:.1%}", color="white" if share > 0.7 else INK
        )
    ax.set(xlabel="predicted", ylabel="true")
    ax.tick_params(length=0, labelsize=min(9, size))
    for label in ax.get_yticklabels():
        label.set(rotation=90, va="center")
    ax.spines[:].set_visible(False)
    return png(fig)


def over_prevalence(metrics: Mapping[str, Mapping[str, Any]], prevalence: float) -> bytes:
    """Draws PPV and NPV over prevalence, with bands from the intervals."""
    fig, ax = figure("prevalence", "predictive value", xlim=(0, 1), ylim=(0, 1.02))
    at = np.linspace(0.002, 0.998, 200)

    def values(end: str) -> tuple[np.ndarray, np.ndarray]:
        pair = (metrics[name][end] for name in ("sensitivity", "specificity"))
        sensitivity, specificity = (np.nan if value is None else float(value) for value in pair)
        return predictive_values(sensitivity, specificity, at)

    estimate, low, high = values("estimate"), values("low"), values("high")
    for i, (name, color) in enumerate((("PPV", ORANGE), ("NPV", BLUE))):
        ax.fill_between(at, low[i], high[i], color=color, alpha=0.15, lw=0)
        ax.plot(at, estimate[i], color=color, lw=1.8, label=name)
    ax.axvline(prevalence, color=GREY, lw=1, ls="--", label=f"this test split, {prevalence:.0%}")
    return png(fig, "lower center")


def risk_over_coverage(predictions: SplitPredictions) -> bytes:
    """Draws the error among the most confident images over their share."""
    correct, confidence = correctness(predictions)
    covered, risk = risk_coverage(correct, confidence)
    top = max(0.02, 1.25 * float(risk.max(initial=0)))
    fig, ax = figure(
        "share of images not referred", "error among them", xlim=(0, 1.01), ylim=(0, top)
    )
    ax.plot(covered, risk, color=BLUE, lw=1.8, label="by confidence")
    if len(risk):
        ax.axhline(risk[-1], color=GREY, lw=0.8, ls=":", label="in random order")
        ideal = risk_coverage(correct, correct.astype(float))
        ax.plot(*ideal, color=GREY, lw=1, ls="--", label="ideal confidence")
    return png(fig, "upper left")


def score_distributions(
    val: SplitPredictions, test: SplitPredictions, sides: Sequence[str]
) -> bytes:
    """Draws the distribution functions of the score on validation and test, for each side."""
    fig, ax = figure("score", "share of images at or below it", height=4.4, xlim=_UNIT, ylim=_UNIT)
    for label, name, color in ((0, sides[0], BLUE), (1, sides[1], ORANGE)):
        for predictions, split, dash in ((val, "validation", ":"), (test, "test", "-")):
            scores = predictions.score[predictions.positive == label]
            if len(scores):
                ax.ecdf(scores, color=color, ls=dash, lw=1.6, label=f"{name}, {split}")
    ax.axvline(test.threshold, color=GREY, lw=1, ls="--", label="threshold")
    return png(fig, "below")


def froc_curve(predictions: SplitPredictions, metrics: dict[str, dict[str, Any]]) -> bytes:
    """Draws the share of opacities found over false boxes per image, with intervals."""
    fig, ax = figure(
        "false boxes per image",
        "share of opacities found",
        xlim=(_FEWEST, max(froc.RATES)),
        ylim=_UNIT,
    )
    false, sensitivity, score = froc.froc_points(*_boxes(predictions))
    ax.set_xscale("log", base=2)
    if len(false):
        x = np.append(np.maximum(np.append(false[0], false), _FEWEST), max(froc.RATES))
        y = np.append(np.append(0, sensitivity), sensitivity[-1])
        ax.plot(x, y, color=BLUE, lw=1.8, drawstyle="steps-post")
        for rate in froc.RATES:
            value = metrics[froc_name(rate)]
            if value["low"] is not None:
                ax.plot([rate, rate], [value["low"], value["high"]], color=GREY, lw=1.2, zorder=1)
        kept = np.flatnonzero(score >= (predictions.box_threshold or 0))
        if len(kept):
            at = kept[-1]
            mark(ax, max(false[at], _FEWEST), sensitivity[at], predictions.box_threshold)
    else:
        empty(ax, "no box hits")
    ticks = [rate for rate in froc.RATES if rate >= _FEWEST]
    ax.set_xticks(ticks, [f"1/{1 / rate:.0f}" if rate < 1 else f"{rate:g}" for rate in ticks])
    ax.minorticks_off()
    return png(fig)


def box_precision_recall(predictions: SplitPredictions) -> bytes:
    """Draws precision over recall of the boxes at three IoU thresholds."""
    fig, ax = figure(
        "recall: share of opacities found",
        "precision: share of boxes that hit",
        xlim=_UNIT,
        ylim=_UNIT,
    )
    rows = _boxes(predictions)
    for overlap, dash, color in ((0.4, ":", GREY), (0.5, "-", BLUE), (0.75, "--", INK)):
        recall, ppv, score = average_precision.precision_recall_points(*rows, overlap)
        if not len(recall):
            continue
        marker = "." if len(recall) == 1 else None  # one point is no line
        name = f"IoU {overlap}: {average_precision.average_precision(*rows, overlap):.3f}"
        ax.plot(recall, ppv, dash, color=color, lw=1.6, marker=marker, label=name)
        kept = np.flatnonzero(score >= (predictions.box_threshold or 0))
        if overlap == average_precision.OVERLAP and len(kept):
            mark(ax, recall[kept[-1]], ppv[kept[-1]], predictions.box_threshold)
    if not ax.lines:
        empty(ax, "no box hits")
    return png(fig, "lower left")


def _boxes(
    predictions: SplitPredictions,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    return (
        predictions.truth_boxes.tolist(),
        predictions.boxes.tolist(),
        predictions.box_scores.tolist(),
    )
