import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics.operating_point import (
    choose_operating_point,
    decide,
    predicted_class,
    referral_band,
)
from core.metrics.options import OperatingPointOptions


def options(rule: str, **more: Any) -> OperatingPointOptions:
    return OperatingPointOptions(rule=rule, **more)


def rates(y: np.ndarray, s: np.ndarray, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity."""
    return float((s[y == 1] >= threshold).mean()), float((s[y == 0] < threshold).mean())


LABELS = np.array([0, 0, 0, 1, 0, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


@pytest.mark.parametrize(
    ("asked", "threshold", "sensitivity", "specificity"),
    [
        (options("fixed", threshold=0.35), 0.35, 1.0, 0.75),
        (options("sensitivity", at_least=1.0), 0.35, 1.0, 0.75),
        (options("sensitivity", at_least=0.75), 0.55, 0.75, 1.0),
        (options("sensitivity", at_least=0.76), 0.35, 1.0, 0.75),
        (options("sensitivity", at_least=0.01), 0.75, 0.25, 1.0),
        (options("specificity", at_least=1.0), 0.55, 0.75, 1.0),
        (options("specificity", at_least=0.5), 0.25, 1.0, 0.5),
        (options("youden"), 0.35, 1.0, 0.75),  # equal to 0.55; the lower misses less
        (options("cost", cost_of_miss=5), 0.35, 1.0, 0.75),
        (options("cost", cost_of_miss=0.2), 0.55, 0.75, 1.0),
        (options("cost", cost_of_miss=1e-3), 0.55, 0.75, 1.0),
    ],
)
def test_by_hand(
    asked: OperatingPointOptions, threshold: float, sensitivity: float, specificity: float
) -> None:
    found = choose_operating_point(LABELS, SCORES, asked)
    assert found.threshold == pytest.approx(threshold)
    assert (found.sensitivity, found.specificity) == (sensitivity, specificity)
    assert (found.positives, found.negatives, found.note) == (4, 4, "")


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, -1]), st.integers(0, 12)), max_size=40),
    st.sampled_from(["sensitivity", "specificity", "youden", "cost"]),
    st.floats(0.05, 1.0),
)
def test_no_other_threshold_is_better(
    rows: list[tuple[int, int]], rule: str, number: float
) -> None:
    """Against a search over all thresholds that separate the scores differently."""
    labels = np.array([y for y, _ in rows], int)
    scores = np.array([s / 12 for _, s in rows], np.float32)
    found = choose_operating_point(
        labels, scores, options(rule, at_least=number, cost_of_miss=10 * number)
    )
    known = labels >= 0
    y, s = labels[known], scores[known]
    if found.note:
        impossible = rule == "specificity" and (s[y == 0] == 1).any()
        assert len(set(y.tolist())) < 2 or impossible
        assert found.threshold == 0.5
        return
    assert (found.sensitivity, found.specificity) == pytest.approx(rates(y, s, found.threshold))

    def cost(sensitivity: float, specificity: float) -> float:
        """What the rule minimizes, infinite where it is not allowed."""
        if rule in ("sensitivity", "specificity"):
            held, other = (sensitivity, specificity)[:: 1 if rule == "sensitivity" else -1]
            return -other if held >= number - 1e-9 else math.inf
        if rule == "youden":
            return -sensitivity - specificity
        return 10 * number * (1 - sensitivity) * (y == 1).sum() + (1 - specificity) * (y == 0).sum()

    others = [*(np.arange(12) / 12), *(np.arange(12) / 12 + 1 / 24)]
    least = min(cost(*rates(y, s, other)) for other in others)
    assert cost(found.sensitivity, found.specificity) <= least + 1e-6


def test_a_threshold_survives_float32_between_close_scores() -> None:
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    scores = np.array([0.1, low, high, 0.9], np.float32)
    found = choose_operating_point(np.array([0, 0, 1, 1]), scores, options("youden"))
    assert float(np.float32(found.threshold)) == found.threshold  # as the model stores it
    assert (scores >= np.float32(found.threshold)).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("labels", "scores", "rule", "note"),
    [
        ([], [], "sensitivity", "no positive"),
        ([1, 1], [0.1, 0.9], "youden", "no negative"),
        ([0, 0, -1], [0.1, 0.9, 0.9], "cost", "no positive"),
        ([0, 1], [1.0, 1.0], "specificity", "specificity 0.95"),
    ],
)
def test_where_the_rule_cannot_be_followed_a_note_says_why(
    labels: list[int], scores: list[float], rule: str, note: str
) -> None:
    found = choose_operating_point(np.array(labels, int), np.array(scores), options(rule))
    assert found.threshold == 0.5
    assert note in found.note
    assert not {math.nan} & set(found.to_dict().values())  # JSON has no NaN


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 1], [0.5]), ([0, 2], [0.5, 0.5]), ([0, 1], [0.5, math.nan]), ([0, 1], [0.5, 1.5])],
)
def test_bad_input(labels: list[int], scores: list[float]) -> None:
    with pytest.raises(ValueError):
        choose_operating_point(np.array(labels), np.array(scores), options("youden"))
    with pytest.raises(ValueError):
        referral_band(np.array(labels), np.array(scores), 0.5, 0.1)
    with pytest.raises(ValueError, match="share"):
        referral_band(np.array([0, 1]), np.array([0.1, 0.9]), 0.5, 1.5)


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 10)), max_size=25),
    st.integers(0, 20),
    st.floats(0, 1),
)
def test_no_other_band_catches_more(rows: list[tuple[int, int]], at: int, share: float) -> None:
    """Against all pairs of ends."""
    labels = np.array([y for y, _ in rows], int)
    scores = np.array([s / 10 for _, s in rows])
    threshold = at / 20
    wrong = (scores >= threshold) != (labels == 1)
    ends = [-0.01, *(np.arange(11) / 10 + 0.05)]
    best = (0, 0)
    for low in [e for e in ends if e <= threshold] + [threshold]:
        for high in [e for e in ends if e >= threshold] + [threshold]:
            inside = (scores >= low) & (scores < high)
            if inside.sum() <= share * len(scores) + 1e-9:
                best = max(best, (int(wrong[inside].sum()), -int(inside.sum())))
    band = referral_band(labels, scores, threshold, share)
    if band is None:
        assert best[0] == 0
        return
    assert band[0] <= threshold <= band[1]
    inside = decide(scores, threshold, band) == -1
    assert (int(wrong[inside].sum()), -int(inside.sum())) == best


def test_decisions() -> None:
    scores = np.array([0.1, 0.4, 0.5, 0.6, 0.9])
    assert decide(scores, 0.5).tolist() == [0, 0, 1, 1, 1]
    assert decide(scores, 0.5, (0.4, 0.6)).tolist() == [0, -1, -1, 1, 1]
    assert decide(scores[:0], 0.5, (0.4, 0.6)).tolist() == []


def test_the_class_never_contradicts_the_decision() -> None:
    p = np.array([[0.4, 0.35, 0.25], [0.4, 0.25, 0.35], [0.7, 0.2, 0.1], [0.2, 0.3, 0.5]])
    score = p[:, 1:].sum(axis=1)
    assert predicted_class(p, score, (1, 2), 0.5).tolist() == [1, 2, 0, 2]
    assert predicted_class(p, score, (1, 2), 0.7).tolist() == [0, 0, 0, 2]
    assert predicted_class(p[:0], score[:0], (1, 2), 0.7).tolist() == []


@pytest.mark.parametrize("rule", ["fixed", "sensitivity", "specificity", "youden", "cost"])
def test_integer_weights_equal_repeated_images(rule: str) -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(-1, 2, 80), np.round(rng.random(80), 2)
    weights = rng.integers(1, 4, 80)
    options = OperatingPointOptions(rule=rule, at_least=0.8)
    weighted = choose_operating_point(labels, scores, options, weights)
    repeated = np.repeat(np.arange(80), weights)
    expected = choose_operating_point(labels[repeated], scores[repeated], options)
    assert weighted.threshold == expected.threshold
    assert weighted.sensitivity == pytest.approx(expected.sensitivity)
    assert weighted.specificity == pytest.approx(expected.specificity)
