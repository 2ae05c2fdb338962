"""Decides whether a model is blessed, from its predictions on the test split.

A model is blessed if

1. every absolute bound holds for the estimate on the whole test split, and
2. it is not significantly worse than the latest blessed model of the same configuration and task on
   the same images. The tests are clustered by patient: DeLong on the AUC, McNemar on the decisions
   (and on the classes, if there are more than two), and a bootstrap on the challenge score if both
   models predict boxes. Each model uses its own thresholds. `alpha` is one-sided and divided among
   the tests (Bonferroni).

A small test split detects only large drops, so each test reports the drop that it detects with 80 %
power. Successive models could each decline by less than that; the absolute bounds stop such a
decline.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.metrics.boxes.challenge import challenge_scores
from core.metrics.options import EvaluationOptions
from core.metrics.paired import (
    PairedTest,
    bootstrap_difference,
    delong_clustered,
    mcnemar_clustered,
)
from core.metrics.registry import GATED
from core.predictions.metrics import box_intervals, class_intervals, score_intervals
from core.predictions.predictions import SplitPredictions
from schema.errors import PneumoError
from schema.files import json_values


@dataclass(frozen=True)
class BoundResult:
    """Result of one absolute bound.

    Attributes:
      metric: a key of `registry.GATED`.
      kind: "at least".
      bound: lower bound.
      value: estimate on the test split; NaN if undefined, in which case the bound does not hold.
      low: lower end of the 95 % confidence interval.
      high: upper end.
      ok: whether the bound holds.
    """

    metric: str
    kind: str
    bound: float
    value: float
    low: float
    high: float
    ok: bool


@dataclass(frozen=True)
class PairedTestResult:
    """Result of one paired test; the difference is candidate - blessed.

    Attributes:
      metric: "auc", "accuracy", "class_accuracy" or "challenge".
      p_worse: one-sided p-value that the candidate is worse; NaN if the test is undefined.
      alpha: level of this test.
      detectable: drop that this test detects with 80 % power; NaN if unknown.
      ok: whether the candidate is not significantly worse.
      note: why the test is undefined; empty otherwise.
    """

    __test__ = False  # not a test class of pytest

    metric: str
    method: str
    candidate: float
    blessed: float
    difference: float
    p_worse: float
    alpha: float
    detectable: float
    ok: bool
    note: str


@dataclass(frozen=True)
class GateDecision:
    """Result of the gate; `failures` has a line for each failed bound or test."""

    blessed: bool
    rules: list[BoundResult]
    tests: list[PairedTestResult]
    failures: list[str]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN and infinity become None."""
        values: dict[str, Any] = json_values(asdict(self))
        return values


def decide_blessing(
    candidate: SplitPredictions, blessed: SplitPredictions | None, options: EvaluationOptions
) -> GateDecision:
    """Checks the bounds, and compares with the blessed model if there is one.

    Raises:
      PneumoError: the two models differ in task or images.
    """
    rules = check_bounds(candidate, options)
    tests = [] if blessed is None else compare_with_blessed(candidate, blessed, options)
    failures = [
        f"{rule.metric} is {_text(rule.value)} on test; the gate requires at least {rule.bound:g}"
        for rule in rules
        if not rule.ok
    ]
    failures += [
        f"{test.metric} is significantly lower than that of the blessed model: "
        f"{_text(test.candidate)} against {_text(test.blessed)} ({test.method}: p "
        f"{test.p_worse:.2g}, level {test.alpha:.2g})"
        for test in tests
        if not test.ok
    ]
    notes = [f"{test.metric}: {test.note}" for test in tests if test.note]
    if blessed is None:
        notes.append("no blessed model of this configuration and task to compare with")
    return GateDecision(not failures, rules, tests, failures, notes)


def check_bounds(candidate: SplitPredictions, options: EvaluationOptions) -> list[BoundResult]:
    """Checks the absolute bounds on the whole split."""
    intervals = score_intervals(candidate, options.resamples, options.seed)
    kinds = {GATED[name] for name in options.gate}
    if "classes" in kinds:
        intervals |= class_intervals(candidate, options.resamples, options.seed)
    if "boxes" in kinds:
        intervals |= box_intervals(candidate, options.resamples, options.seed)
    rules = []
    for metric, rule in options.gate.items():
        interval = intervals.get(metric)
        value, low, high = (
            (interval.estimate, interval.low, interval.high) if interval else (math.nan,) * 3
        )
        # An undefined value (NaN) fails every bound, even 0.
        rules.append(BoundResult(metric, "at least", rule.min, value, low, high, value >= rule.min))
    return rules


def compare_with_blessed(
    candidate: SplitPredictions, blessed: SplitPredictions, options: EvaluationOptions
) -> list[PairedTestResult]:
    """Runs the paired tests.

    Raises:
      PneumoError: the two models differ in task or images.
    """
    if candidate.task != blessed.task:
        raise PneumoError(
            f"the blessed model has task {blessed.task.name!r} and the candidate task "
            f"{candidate.task.name!r}; they cannot be compared"
        )
    if not np.array_equal(candidate.sha256, blessed.sha256):
        raise PneumoError(
            "the candidate and the blessed model were scored on different images; score both again"
        )
    tests = options.against_blessed.tests
    labeled, labeled_b = candidate.with_binary_label(), blessed.with_binary_label()
    comparisons: list[tuple[str, PairedTest]] = []
    if "auc" in tests:
        comparisons.append(
            (
                "auc",
                delong_clustered(labeled.positive, labeled.score, labeled_b.score, labeled.patient),
            )
        )
    if "accuracy" in tests:
        correct, correct_b = (a.predicted_positive == a.positive for a in (labeled, labeled_b))
        comparisons.append(("accuracy", mcnemar_clustered(correct, correct_b, labeled.patient)))
        if len(candidate.task.classes) > 2:
            one, two = candidate.with_class_label(), blessed.with_class_label()
            correct, correct_b = (a.predicted_label == a.label for a in (one, two))
            comparisons.append(
                ("class_accuracy", mcnemar_clustered(correct, correct_b, one.patient))
            )
    if "challenge" in tests and candidate.predicts_boxes and blessed.predicts_boxes:
        scores, scores_b = (
            challenge_scores(a.truth_boxes.tolist(), *(rows.tolist() for rows in a.shown_boxes()))
            for a in (candidate, blessed)
        )
        settings = {"resamples": options.resamples, "seed": options.seed}
        pair = bootstrap_difference(scores, scores_b, candidate.patient, **settings)
        comparisons.append(("challenge", pair))
    level = options.against_blessed.alpha / max(1, len(comparisons))
    return [paired_test(metric, pair, level) for metric, pair in comparisons]


def paired_test(metric: str, pair: PairedTest, level: float) -> PairedTestResult:
    """Converts a comparison to a test result; a drop is significant if p is below the level."""
    from scipy.stats import norm

    detectable = float(norm.isf(level) + norm.isf(0.2)) * pair.se
    defined = math.isfinite(pair.p_worse)
    return PairedTestResult(
        metric=metric,
        method=pair.method,
        candidate=pair.a,
        blessed=pair.b,
        difference=pair.difference,
        p_worse=pair.p_worse,
        alpha=level,
        detectable=detectable if detectable > 0 else math.nan,
        ok=not (defined and pair.p_worse < level),
        note="" if defined else "too few patients for a test; only the bounds decide",
    )


def _text(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "not defined"
