"""Overlays of several configurations, as PNG bytes. matplotlib is imported where it is used."""

from collections.abc import Mapping, Sequence

from components.evaluation.metrics import (
    calibration_curve,
    confusion,
    expected_calibration_error,
    roc_auc,
    roc_curve,
)
from components.report.drawing import GREY, INK, SERIES, figure, png
from pipeline.compare.questions import Score

_DASHES = ("-", "--", ":", "-.")  # beyond the colours, and for those who do not see them
_CROWDED = 0.95  # least AUC above which all curves crowd in the corner
_BELOW = 0.26  # inches of legend for each configuration


def _style(i: int) -> tuple[str, str]:
    return SERIES[i % len(SERIES)], _DASHES[(i // len(SERIES) + i) % len(_DASHES)]


def roc(scores: Mapping[str, Score], names: Sequence[str]) -> bytes:
    """ROC curves in one picture, a dot at each operating point; the good corner enlarged.

    Args:
      scores: name -> answers.
      names: of all configurations; the place of a name is its colour.
    """
    made, axis = figure(4.8, 4.6 + _BELOW * len(scores))
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    drawn, least = [axis], min((roc_auc(of.label, of.score) for of in scores.values()), default=0)
    if least > _CROWDED:
        corner = axis.inset_axes((0.36, 0.12, 0.6, 0.6), xlim=(-0.005, 0.2), ylim=(0.8, 1.005))
        corner.tick_params(labelsize=7)
        axis.indicate_inset_zoom(corner, edgecolor=GREY)
        drawn.append(corner)
    for name, of in scores.items():
        colour, dash = _style(names.index(name))
        fpr, tpr, _ = roc_curve(of.label, of.score)
        if not len(fpr):
            continue
        auc = roc_auc(of.label, of.score)
        c = confusion(of.label, of.score, of.threshold)
        for at in drawn:
            at.plot(fpr, tpr, color=colour, ls=dash, lw=1.6, label=f"{name}, AUC {auc:.3f}")
            at.plot(c.fp / (c.fp + c.tn), c.tp / (c.tp + c.fn), "o", color=colour, ms=6)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    axis.set_xlabel("1 - specificity", color=INK)
    axis.set_ylabel("sensitivity", color=INK)
    if len(axis.lines) > 1:
        made.legend(
            *axis.get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=9
        )
    return png(made)


def calibration(scores: Mapping[str, Score], names: Sequence[str]) -> bytes:
    """Share of positives by score; bins of few images have small marks.

    Args:
      scores: name -> answers.
      names: of all configurations; the place of a name is its colour.
    """
    made, axis = figure(4.8, 4.6 + _BELOW * len(scores))
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    for name, of in scores.items():
        colour, dash = _style(names.index(name))
        bins = calibration_curve(of.label, of.score)
        x, y = [b.mean_score for b in bins], [b.share_positive for b in bins]
        error = expected_calibration_error(of.label, of.score)
        axis.plot(x, y, color=colour, ls=dash, lw=1.2, label=f"{name}, error {error:.3f}")
        sizes = [8 + 160 * b.n / max(len(of), 1) for b in bins]
        axis.scatter(x, y, s=sizes, color=colour, linewidths=0, alpha=0.8)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axis.set_xlabel("mean score of the bin", color=INK)
    axis.set_ylabel("share that is positive", color=INK)
    if len(axis.lines) > 1:
        made.legend(
            *axis.get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=9
        )
    return png(made)
