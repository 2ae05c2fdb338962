import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.evaluation.bootstrap import _Prepared, clustered_bootstrap
from components.evaluation.metrics import binary_metrics


def sample(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.6).astype(int)
    scores = 1 / (1 + np.exp(-(1.5 * (labels - 0.5) + rng.normal(0, 1, n))))
    return labels, np.round(scores, 2)  # rounded: ties


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_a_weighted_row_equals_the_metrics_of_the_repeated_images(n: int, seed: int) -> None:
    labels, scores = sample(n, seed)
    weights = np.random.default_rng(seed).integers(0, 4, n)
    found = _Prepared(labels, scores, 0.5).metrics(weights[None].astype(float))
    repeated = np.repeat(np.arange(n), weights)
    expected = binary_metrics(labels[repeated], scores[repeated], 0.5)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, nan_ok=True, abs=1e-9), name


def test_perfect_scores_leave_no_doubt_and_the_seed_decides() -> None:
    labels = np.array([0, 1] * 20)
    groups = np.arange(40)
    found = clustered_bootstrap(labels, labels.astype(float), groups, 0.5, resamples=300, seed=1)
    assert (found["auc"].low, found["auc"].high) == (1.0, 1.0)
    labels, scores = sample(120)
    one = clustered_bootstrap(labels, scores, np.arange(120), 0.5, resamples=300, seed=1)
    two = clustered_bootstrap(labels, scores, np.arange(120), 0.5, resamples=300, seed=1)
    other = clustered_bootstrap(labels, scores, np.arange(120), 0.5, resamples=300, seed=2)
    assert one == two
    assert one != other


def test_interval_holds_the_estimate_and_shrinks_with_data() -> None:
    widths = []
    for n in (100, 1600):
        labels, scores = sample(n)
        found = clustered_bootstrap(labels, scores, np.arange(n), 0.5, resamples=400, seed=0)
        for name in ("auc", "accuracy", "sensitivity", "specificity", "auc_pr", "brier"):
            assert found[name].low <= found[name].estimate <= found[name].high
        widths.append(found["auc"].high - found["auc"].low)
    assert widths[1] < widths[0] / 2


def test_copies_of_an_image_in_one_patient_add_no_certainty() -> None:
    labels, scores = sample(80)
    times = 4
    many = np.tile(labels, times), np.tile(scores, times)
    patients = np.tile(np.arange(80), times)
    alone = clustered_bootstrap(labels, scores, np.arange(80), 0.5, resamples=500, seed=0)
    clustered = clustered_bootstrap(*many, patients, 0.5, resamples=500, seed=0)
    naive = clustered_bootstrap(*many, np.arange(80 * times), 0.5, resamples=500, seed=0)

    def width(found: dict) -> float:
        return found["accuracy"].high - found["accuracy"].low

    assert width(clustered) == pytest.approx(width(alone))
    assert width(naive) < 0.7 * width(clustered)


def test_coverage_of_the_true_sensitivity() -> None:
    """Of 200 studies, about 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(0)
    truth, hits = 0.8, 0
    for study in range(200):
        called = rng.random(150) < truth
        found = clustered_bootstrap(
            np.ones(150, int), called.astype(float), np.arange(150), 0.5, resamples=200, seed=study
        )
        hits += found["sensitivity"].low <= truth <= found["sensitivity"].high
    assert 0.90 <= hits / 200 <= 0.99


@pytest.mark.parametrize(
    ("labels", "scores", "undefined"),
    [([1, 1], [0.2, 0.8], "auc"), ([0], [0.3], "sensitivity"), ([0, 0], [0.1, 0.2], "precision")],
)
def test_what_is_not_defined_has_no_interval(
    labels: list[int], scores: list[float], undefined: str
) -> None:
    found = clustered_bootstrap(
        np.array(labels), np.array(scores), np.arange(len(labels)), 0.5, resamples=50, seed=0
    )
    assert math.isnan(found[undefined].estimate)
    assert math.isnan(found[undefined].low)
    assert found[undefined].resamples_used == 0
    assert found["accuracy"].resamples_used == 50


def test_resamples_that_miss_a_class_are_left_out_and_counted() -> None:
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.5, 0.6, 0.9])
    found = clustered_bootstrap(labels, scores, np.arange(4), 0.5, resamples=400, seed=0)
    assert 0 < found["auc"].resamples_used < 400


def test_one_patient_has_an_interval_of_no_width() -> None:
    labels, scores = sample(30)
    found = clustered_bootstrap(labels, scores, ["a"] * 30, 0.5, resamples=50, seed=0)
    assert found["auc"].low == found["auc"].high == pytest.approx(found["auc"].estimate)


@pytest.mark.parametrize(
    ("labels", "scores", "groups"),
    [([], [], []), ([0, 1], [0.1, 0.2], [1]), ([0, 1], [0.1, math.nan], [1, 2])],
)
def test_bad_input(labels: list, scores: list, groups: list) -> None:
    with pytest.raises(ValueError):
        clustered_bootstrap(np.array(labels), np.array(scores), np.array(groups), 0.5, seed=0)
