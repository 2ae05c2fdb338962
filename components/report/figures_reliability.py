"""Figures of calibration, prevalence, coverage and shift, as PNG bytes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.metrics import calibration_curve
from components.evaluation.prevalence import predictive_values
from components.evaluation.risk_coverage import risk_coverage
from components.report.drawing import BLUE, GREY, INK, ORANGE, figure, png
from components.report.reliability import answered, raw_score


def calibration(told: Answers) -> bytes:
    """Share of positives by score before and after temperature, and how many images a bin has."""
    made, axis = figure(4.2, 4.0)
    axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    before = calibration_curve(told.positive, raw_score(told))
    axis.plot(
        [b.mean_score for b in before],
        [b.share_positive for b in before],
        color=GREY,
        lw=1.2,
        marker="o",
        ms=4,
        mfc="white",
        label="before temperature",
    )
    bins = calibration_curve(told.positive, told.score)
    total = max(len(told), 1)
    axis.plot(
        [b.mean_score for b in bins],
        [b.share_positive for b in bins],
        color=BLUE,
        lw=1.2,
        label="as served",
    )
    axis.scatter(
        [b.mean_score for b in bins],
        [b.share_positive for b in bins],
        s=[12 + 240 * b.n / total for b in bins],
        color=BLUE,
        linewidths=0,
    )
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
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    return png(made)


def over_prevalence(metrics: Mapping[str, Mapping[str, Any]], here: float) -> bytes:
    """PPV and NPV over prevalence, with the band of the intervals.

    Args:
      metrics: sensitivity and specificity as estimate, low and high (None where not defined).
      here: prevalence of the test split.
    """
    made, axis = figure(4.2, 4.0)
    at = np.linspace(0.002, 0.998, 200)

    def values(end: str) -> tuple[np.ndarray, np.ndarray]:
        sensitivity, specificity = (
            np.nan if metrics[name][end] is None else float(metrics[name][end])
            for name in ("sensitivity", "specificity")
        )
        return predictive_values(sensitivity, specificity, at)

    estimate, low, high = values("estimate"), values("low"), values("high")
    for which, (name, colour) in enumerate((("PPV", ORANGE), ("NPV", BLUE))):
        axis.fill_between(at, low[which], high[which], color=colour, alpha=0.15, lw=0)
        axis.plot(at, estimate[which], color=colour, lw=1.8, label=name)
    axis.axvline(here, color=GREY, lw=1, ls="--", label=f"this test split, {here:.0%}")
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    axis.set_xlabel("prevalence", color=INK)
    axis.set_ylabel("predictive value", color=INK)
    axis.legend(frameon=False, fontsize=8, loc="lower center")
    return png(made)


def risk_over_coverage(answers: Answers) -> bytes:
    """Error among the surest images over their share."""
    made, axis = figure(4.2, 4.0)
    right, sure = answered(answers)
    covered, risk = risk_coverage(right, sure)
    axis.plot(covered, risk, color=BLUE, lw=1.8, label="surest images first")
    if len(risk):
        axis.axhline(risk[-1], color=GREY, lw=0.8, ls=":", label="in random order")
        best, least = risk_coverage(right, right.astype(float))
        axis.plot(best, least, color=GREY, lw=1, ls="--", label="if it knew its errors")
        axis.legend(frameon=False, fontsize=8, loc="upper left")
    axis.set(xlim=(0, 1.01), ylim=(0, max(0.02, 1.25 * float(risk.max(initial=0)))))
    axis.set_xlabel("share of images that is answered", color=INK)
    axis.set_ylabel("share of these that is wrong", color=INK)
    return png(made)


def score_distributions(val: Answers, test: Answers, sides: tuple[str, str]) -> bytes:
    """Distribution functions of the score on validation and test, for each side.

    Args:
      val: told answers on validation.
      test: told answers on test.
      sides: names of the negative and the positive side.
    """
    made, axis = figure(4.2, 4.4)
    for label, name, colour in ((0, sides[0], BLUE), (1, sides[1], ORANGE)):
        for answers, split, style in ((val, "validation", ":"), (test, "test", "-")):
            scores = np.sort(answers.score[answers.positive == label])
            if len(scores):
                x = np.concatenate([[0.0], scores, [1.0]])
                share = np.concatenate([[0.0], np.arange(1, len(scores) + 1) / len(scores), [1.0]])
                axis.step(x, share, where="post", color=colour, ls=style, lw=1.6,
                          label=f"{name}, {split}")  # fmt: skip
    axis.axvline(test.threshold, color=GREY, lw=1, ls="--", label="threshold")
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axis.set_xlabel("score", color=INK)
    axis.set_ylabel("share of images at or below it", color=INK)
    axis.legend(
        frameon=False, fontsize=7.5, ncol=2, loc="upper center", bbox_to_anchor=(0.45, -0.16)
    )
    return png(made)
