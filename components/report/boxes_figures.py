"""Figures of boxes as PNG bytes: FROC, precision and recall."""

from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.boxes import froc, precision
from components.evaluation.boxes.numbers import froc_name
from components.report.drawing import BLUE, GREY, INK, figure, operating_point, png

_LEAST = 1 / 16  # the axis of false boxes is logarithmic and ends here


def froc_curve(answers: Answers, metrics: dict[str, dict[str, Any]]) -> bytes:
    """Share of opacities found over false boxes per image, with the intervals at the seven rates.

    Args:
      answers: on test.
      metrics: `metrics` of `boxes.box_section`.
    """
    made, axis = figure(4.2, 4.0)
    false, found, score = froc.froc_points(*_rows(answers))
    axis.set_xscale("log", base=2)
    if len(false):
        x = np.append(np.maximum(np.append(false[0], false), _LEAST), max(froc.RATES))
        y = np.append(np.append(0, found), found[-1])
        axis.plot(x, y, color=BLUE, lw=1.8, drawstyle="steps-post")
        for rate in froc.RATES:
            value = metrics[froc_name(rate)]
            if value["low"] is not None:
                axis.plot([rate, rate], [value["low"], value["high"]], color=GREY, lw=1.2, zorder=1)
        kept = np.flatnonzero(score >= (answers.box_threshold or 0))
        if len(kept):
            at = kept[-1]
            operating_point(axis, max(false[at], _LEAST), found[at], answers.box_threshold)
    else:
        axis.text(0.5, 0.5, "no box hits", ha="center", color=INK, transform=axis.transAxes)
    axis.set(xlim=(_LEAST, max(froc.RATES)), ylim=(-0.01, 1.02))
    ticks = [rate for rate in froc.RATES if rate >= _LEAST]
    axis.set_xticks(ticks, [f"1/{1 / rate:.0f}" if rate < 1 else f"{rate:g}" for rate in ticks])
    axis.minorticks_off()
    axis.set_xlabel("false boxes per image", color=INK)
    axis.set_ylabel("share of opacities found", color=INK)
    return png(made)


def box_precision_recall(answers: Answers) -> bytes:
    """Precision over recall of boxes at three overlaps; line styles tell them apart."""
    made, axis = figure(4.2, 4.0)
    rows = _rows(answers)
    drawn = False
    for overlap, style, colour in ((0.4, ":", GREY), (0.5, "-", BLUE), (0.75, "--", INK)):
        recall, right, score = precision.pr_points(*rows, overlap)
        if not len(recall):
            continue
        drawn = True
        marker = "." if len(recall) == 1 else None  # one point is no line
        area = precision.average_precision(*rows, overlap)
        axis.plot(
            recall,
            right,
            style,
            color=colour,
            lw=1.6,
            marker=marker,
            label=f"overlap {overlap}: {area:.3f}",
        )
        kept = np.flatnonzero(score >= (answers.box_threshold or 0))
        if overlap == precision.OVERLAP and len(kept):
            operating_point(axis, recall[kept[-1]], right[kept[-1]], answers.box_threshold)
    if drawn:
        axis.legend(frameon=False, fontsize=8, loc="lower left")
    else:
        axis.text(0.5, 0.5, "no box hits", ha="center", color=INK)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    axis.set_xlabel("recall: share of opacities found", color=INK)
    axis.set_ylabel("precision: share of boxes that hit", color=INK)
    return png(made)


def _rows(answers: Answers) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    return answers.truth_boxes.tolist(), answers.boxes.tolist(), answers.box_scores.tolist()
