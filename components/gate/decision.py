"""Rules of the blessing, applied to the predictions on the test split.

A model is blessed when

1. each absolute bound holds for the estimate on the whole test split, and
2. it is not significantly worse than the latest blessed model of the same configuration and task,
   on the same images, by tests with the patient as the unit: DeLong on the AUC, McNemar on the
   decisions (with more than two classes also on the classes), and the bootstrap on the challenge's
   metric where both models predict boxes. Each model stands at its own thresholds; `alpha` is
   one-sided and for all tests together (Bonferroni).

"Not significantly worse" is not "as good": a small test split shows only large drops. Each test
therefore states the drop that it detects with 80 % power, and the absolute bounds are the floor
under a decline in steps too small to be detected.
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
    """One absolute bound.

    Attributes:
      metric: a key of `registry.GATED`.
      value: on test; NaN where it is not defined, which does not keep a bound.
      low: lower end of the 95 % interval by patient; `high` the upper end.
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
    """One paired test; differences are candidate - blessed.

    Attributes:
      metric: "auc", "accuracy", "class_accuracy" or "challenge".
      p_worse: one-sided p that the candidate is worse; NaN where the test is not defined.
      alpha: level of this test.
      detectable: the drop that this test detects with 80 % power; NaN where not known.
      note: why the test is undefined; empty where it is defined.
    """

    __test__ = False  # for pytest

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
    """Result of the gate; `failures` has a line for each rule or test that was not kept."""

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
    """Applies the bounds, and the paired tests where there is a blessed model.

    Raises:
      PneumoError: the two models answered other images, or another task.
    """
    rules = check_bounds(candidate, options)
    tests = [] if blessed is None else compare_with_blessed(candidate, blessed, options)
    failures = [
        f"{rule.metric} is {_say(rule.value)} on test; the gate asks for at least {rule.bound:g}"
        for rule in rules
        if not rule.ok
    ]
    failures += [
        f"{test.metric} fell from {_say(test.blessed)} to {_say(test.candidate)} against the "
        f"blessed model, more than chance ({test.method}: p {test.p_worse:.2g}, level "
        f"{test.alpha:.2g})"
        for test in tests
        if not test.ok
    ]
    notes = [f"{test.metric}: {test.note}" for test in tests if test.note]
    if blessed is None:
        notes.append("no blessed model of this configuration and task to compare with")
    return GateDecision(not failures, rules, tests, failures, notes)


def check_bounds(candidate: SplitPredictions, options: EvaluationOptions) -> list[BoundResult]:
    """The absolute bounds on the whole split."""
    found = score_intervals(candidate, options.resamples, options.seed)
    kinds = {GATED[name] for name in options.gate}
    if "classes" in kinds:
        found |= class_intervals(candidate, options.resamples, options.seed)
    if "boxes" in kinds:
        found |= box_intervals(candidate, options.resamples, options.seed)
    rules = []
    for metric, rule in options.gate.items():
        interval = found.get(metric)
        value, low, high = (
            (interval.estimate, interval.low, interval.high) if interval else (math.nan,) * 3
        )
        # A number that is not defined keeps no bound, not even 0.
        rules.append(BoundResult(metric, "at least", rule.min, value, low, high, value >= rule.min))
    return rules


def compare_with_blessed(
    candidate: SplitPredictions, blessed: SplitPredictions, options: EvaluationOptions
) -> list[PairedTestResult]:
    """The paired tests.

    Raises:
      PneumoError: the two models answered other images, or another task.
    """
    if candidate.task != blessed.task:
        raise PneumoError(
            f"the blessed model answers task {blessed.task.name!r} and the candidate "
            f"{candidate.task.name!r}; they cannot be compared"
        )
    if not np.array_equal(candidate.sha256, blessed.sha256):
        raise PneumoError(
            "the candidate and the blessed model answered other images of test; score both again"
        )
    wanted = options.against_blessed.tests
    told, told_b = candidate.with_binary_label(), blessed.with_binary_label()
    found: list[tuple[str, PairedTest]] = []
    if "auc" in wanted:
        found.append(
            ("auc", delong_clustered(told.positive, told.score, told_b.score, told.patient))
        )
    if "accuracy" in wanted:
        right, right_b = (a.predicted_positive == a.positive for a in (told, told_b))
        found.append(("accuracy", mcnemar_clustered(right, right_b, told.patient)))
        if len(candidate.task.classes) > 2:
            one, two = candidate.with_class_label(), blessed.with_class_label()
            right, right_b = (a.predicted_label == a.label for a in (one, two))
            found.append(("class_accuracy", mcnemar_clustered(right, right_b, one.patient)))
    if "challenge" in wanted and candidate.predicts_boxes and blessed.predicts_boxes:
        scores, scores_b = (
            challenge_scores(a.truth_boxes.tolist(), *(rows.tolist() for rows in a.shown_boxes()))
            for a in (candidate, blessed)
        )
        drawn = {"resamples": options.resamples, "seed": options.seed}
        pair = bootstrap_difference(scores, scores_b, candidate.patient, **drawn)
        found.append(("challenge", pair))
    level = options.against_blessed.alpha / max(1, len(found))
    return [paired_test(metric, pair, level) for metric, pair in found]


def paired_test(metric: str, pair: PairedTest, level: float) -> PairedTestResult:
    """Returns the test of one comparison; a drop counts where its p-value is below the level."""
    from scipy.stats import norm

    reach = float(norm.isf(level) + norm.isf(0.2)) * pair.se
    defined = math.isfinite(pair.p_worse)
    return PairedTestResult(
        metric=metric,
        method=pair.method,
        candidate=pair.a,
        blessed=pair.b,
        difference=pair.difference,
        p_worse=pair.p_worse,
        alpha=level,
        detectable=reach if reach > 0 else math.nan,
        ok=not (defined and pair.p_worse < level),
        note="" if defined else "too few patients for a test; the bounds alone decide",
    )


def _say(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "not defined"
