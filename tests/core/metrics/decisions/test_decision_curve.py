"""Decision curve against values computed by hand and image by image."""

import math

import numpy as np
import pytest

from core.metrics.bootstrap import Interval
from core.metrics.decisions.decision_curve import DecisionCurve, decision_curve

LABELS = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
SCORES = [0.9, 0.6, 0.1, 0.7, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0]


def curve(
    labels: list[int], scores: list[float], thresholds: list[float], patients: int = 0
) -> DecisionCurve:
    groups = np.arange(len(labels)) % (patients or max(len(labels), 1))
    return decision_curve(
        np.array(labels, int),
        np.array(scores),
        groups,
        0.65,
        np.array(thresholds),
        resamples=200,
        seed=0,
    )


@pytest.mark.parametrize(
    ("labels", "scores", "threshold", "model", "treat_all"),
    [
        (LABELS, SCORES, 0.5, 2 / 10 - 1 / 10, 3 / 10 - 7 / 10),
        (LABELS, SCORES, 0.2, 2 / 10 - 4 / 10 / 4, 3 / 10 - 7 / 10 / 4),
        (LABELS, SCORES, 0.1, 3 / 10 - 6 / 10 / 9, 3 / 10 - 7 / 10 / 9),  # 0.1 is positive
        (LABELS, SCORES, 0.95, 0.0, 3 / 10 - 7 / 10 * 19),
        ([1, 1], [0.9, 0.1], 0.5, 0.5, 1.0),  # positives only
        ([0, 0], [0.9, 0.1], 0.5, -0.5, -1.0),  # negatives only
        ([1, 0], [0.5, 0.5], 0.5, 0.0, 0.0),  # constant score: all at or above it
        ([1, 0], [0.5, 0.5], 0.6, 0.0, -0.25),
        ([1], [1.0], 0.99, 1.0, 1.0),
    ],
)
def test_net_benefit_by_hand(
    labels: list[int], scores: list[float], threshold: float, model: float, treat_all: float
) -> None:
    found = curve(labels, scores, [threshold])
    assert found.model[0].estimate == pytest.approx(model, abs=1e-12)
    assert found.treat_all[0].estimate == pytest.approx(treat_all, abs=1e-12)
    assert found.gain[0].estimate == pytest.approx(model - max(treat_all, 0), abs=1e-12)


def test_operating_point_has_the_same_decisions_at_every_threshold() -> None:
    found = curve(LABELS, SCORES, [0.1, 0.5, 0.65, 0.9])  # at 0.65: one found, one false alarm
    benefit = [one.estimate for one in found.operating_point]
    assert benefit == pytest.approx([0.1 - 0.1 / 9, 0, 0.1 - 0.1 * 65 / 35, 0.1 - 0.9])
    assert benefit[2] == pytest.approx(found.model[2].estimate)


def test_equals_the_definition_on_every_resample() -> None:
    rng = np.random.default_rng(0)
    n = 80
    labels = rng.integers(0, 2, n)
    scores = np.round(0.3 * labels + 0.7 * rng.random(n), 2)  # with ties
    patients = rng.integers(0, 30, n)
    thresholds = np.array([0.05, 0.3, 0.31, 0.8])
    found = decision_curve(labels, scores, patients, 0.5, thresholds, resamples=300, seed=5)
    ids, patient = np.unique(patients, return_inverse=True)
    counts = np.random.default_rng(5).multinomial(len(ids), np.full(len(ids), 1 / len(ids)), 300)
    for i, t in enumerate(thresholds):
        values = []
        for drawn in counts:
            w = drawn[patient]
            tp = w[(scores >= t) & (labels == 1)].sum()
            fp = w[(scores >= t) & (labels == 0)].sum()
            values.append((tp - fp * t / (1 - t)) / w.sum())
        interval = found.model[i]
        assert (interval.low, interval.high) == pytest.approx(np.quantile(values, (0.025, 0.975)))
        assert interval.low <= interval.estimate <= interval.high


def test_images_of_one_patient_are_resampled_together() -> None:
    labels, scores = np.tile([1, 0], 100), np.tile([0.9, 0.8], 100)
    labels[50:] = 1 - labels[50:]
    apart = decision_curve(labels, scores, np.arange(200), 0.5, np.array([0.85]), seed=0)
    together = decision_curve(labels, scores, np.arange(200) // 50, 0.5, np.array([0.85]), seed=0)

    def width(one: DecisionCurve) -> float:
        return one.model[0].high - one.model[0].low

    assert width(together) > 2 * width(apart)


@pytest.mark.parametrize(
    ("low", "expected"),
    [
        ([-0.1, 0.1, 0.1, 0.0], (0.2, 0.3)),
        ([0.1, -0.1, 0.1, 0.1], (0.3, 0.4)),
        ([0.1, 0.1, 0.1, 0.1], (0.1, 0.4)),
        ([0.0, math.nan, -0.1, 0.0], None),
        ([], None),
    ],
)
def test_useful_range(low: list[float], expected: tuple[float, float] | None) -> None:
    gain = [Interval(estimate=1.0, low=value, high=2.0, resamples_used=1) for value in low]
    thresholds = np.array([0.1, 0.2, 0.3, 0.4])[: len(low)]
    assert DecisionCurve(thresholds, gain, gain, gain, gain).useful_range() == expected


def test_uninformative_score_is_never_useful_and_a_perfect_one_is() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 300)
    patients = np.arange(300)
    chance = decision_curve(labels, rng.permutation(labels) * 0.8 + 0.1, patients, 0.5, seed=0)
    assert chance.useful_range() is None
    perfect = decision_curve(labels, labels * 0.98 + 0.01, patients, 0.5, seed=0)
    assert perfect.useful_range() == (0.02, 0.99)


@pytest.mark.parametrize(
    ("labels", "scores", "thresholds", "message"),
    [
        ([], [], [0.5], "no images"),
        ([1, 0], [0.5, math.nan], [0.5], "score nan at index 1"),
        ([1, 2], [0.5, 0.5], [0.5], "label 2 at index 1"),
        ([1, 0], [0.5, 0.5], [0.0], "above 0 and below 1"),
        ([1, 0], [0.5, 0.5], [1.0], "above 0 and below 1"),
        ([1, 0], [0.5, 0.5], [0.5, 0.5], "ascending"),
    ],
)
def test_invalid_input(
    labels: list[int], scores: list[float], thresholds: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        curve(labels, scores, thresholds)


def test_groups_of_another_length() -> None:
    with pytest.raises(ValueError, match="groups"):
        decision_curve(np.array([1, 0]), np.array([0.1, 0.2]), np.array([0]), 0.5, seed=0)
