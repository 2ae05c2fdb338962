import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.metrics.binary import binary_statistics, bootstrap_binary_metrics
from core.metrics.bootstrap import clustered_bootstrap, exact_bounds
from tests.core.metrics.scikit_learn import expected_metrics


def sample(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.6).astype(int)
    scores = 1 / (1 + np.exp(-(1.5 * (labels - 0.5) + rng.normal(0, 1, n))))
    return labels, np.round(scores, 2)  # rounded: ties


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([0.0, 0.5, 0.9]))
def test_a_weighted_row_equals_scikit_learn_on_repeated_images(
    n: int, seed: int, threshold: float
) -> None:
    labels, scores = sample(n, seed)
    weights = np.random.default_rng([seed, 1]).integers(0, 4, n)
    statistics, _ = binary_statistics(labels, scores, threshold)
    found = statistics(weights[None].astype(float))
    repeated = np.repeat(np.arange(n), weights)
    expected = expected_metrics(labels[repeated], scores[repeated], threshold)
    assert {name: v[0] for name, v in found.items()} == pytest.approx(expected, nan_ok=True)


def test_one_image_of_each_patient_is_the_ordinary_bootstrap() -> None:
    """Against a loop that draws the same images and copies them."""
    labels, scores = sample(60)
    found = bootstrap_binary_metrics(labels, scores, np.arange(60), 0.5, resamples=60, seed=7)
    draws = np.random.default_rng(7).multinomial(60, np.full(60, 1 / 60), size=60)
    rows = [np.repeat(np.arange(60), draw) for draw in draws]
    plain = [expected_metrics(labels[row], scores[row], 0.5) for row in rows]
    for name, interval in found.items():
        values = [one[name] for one in plain if math.isfinite(one[name])]
        assert interval.resamples_used == len(values)
        assert (interval.low, interval.high) == pytest.approx(np.quantile(values, (0.025, 0.975)))
    again = bootstrap_binary_metrics(labels, scores, np.arange(60), 0.5, resamples=60, seed=7)
    other = bootstrap_binary_metrics(labels, scores, np.arange(60), 0.5, resamples=60, seed=8)
    assert again == found != other


def test_copies_of_an_image_in_one_patient_add_no_certainty() -> None:
    labels, scores = sample(80)
    many = np.repeat(labels, 4), np.repeat(scores, 4)

    def width(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
        found = bootstrap_binary_metrics(labels, scores, groups, 0.5, resamples=500, seed=0)
        return found["accuracy"].high - found["accuracy"].low

    clustered = width(*many, np.repeat(np.arange(80), 4))
    assert clustered == pytest.approx(width(labels, scores, np.arange(80)))
    assert width(*many, np.arange(320)) < 0.7 * clustered


def test_coverage_of_the_true_sensitivity() -> None:
    """Of 200 studies, about 95 % of the intervals contain the truth."""
    rng, truth, hits = np.random.default_rng(0), 0.8, 0
    for study in range(200):
        right = rng.random(150) < truth
        found = clustered_bootstrap(
            lambda w, right=right: {"sensitivity": w @ right / w.sum(axis=1)},
            np.arange(150),
            resamples=200,
            seed=study,
        )["sensitivity"]
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / 200 <= 0.99


@pytest.mark.parametrize(
    ("labels", "scores", "undefined"),
    [([1, 1], [0.2, 0.8], "auc"), ([0], [0.3], "sensitivity"), ([0, 0], [0.1, 0.2], "precision")],
)
def test_an_undefined_metric_has_no_interval(
    labels: list[int], scores: list[float], undefined: str
) -> None:
    found = bootstrap_binary_metrics(
        np.array(labels), np.array(scores), np.arange(len(labels)), 0.5, resamples=50, seed=0
    )
    assert math.isnan(found[undefined].estimate)
    assert math.isnan(found[undefined].low)
    assert found[undefined].resamples_used == 0
    assert found["accuracy"].resamples_used == 50


def test_resamples_that_miss_a_class_are_left_out_and_counted() -> None:
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.5, 0.6, 0.9])
    found = bootstrap_binary_metrics(labels, scores, np.arange(4), 0.5, resamples=400, seed=0)[
        "auc"
    ]
    assert 0 < found.resamples_used < 400
    assert (found.low, found.high) == (1.0, 1.0)


def test_one_patient_has_an_interval_of_no_width() -> None:
    labels, scores = sample(30)
    found = bootstrap_binary_metrics(labels, scores, ["a"] * 30, 0.5, resamples=50, seed=0)["auc"]
    assert found.low == found.high == pytest.approx(found.estimate)


@pytest.mark.parametrize(
    ("labels", "scores", "groups"),
    [([], [], []), ([0, 1], [0.1, 0.2], [1]), ([0, 1], [0.1, math.nan], [1, 2])],
)
def test_bad_input(labels: list, scores: list, groups: list) -> None:
    with pytest.raises(ValueError):
        bootstrap_binary_metrics(np.array(labels), np.array(scores), np.array(groups), 0.5, seed=0)


@pytest.mark.parametrize("patients", [1, 2, 400])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_exact_bounds_are_those_of_clopper_and_pearson(share: float, patients: int) -> None:
    expected = binomtest(int(share * patients), patients).proportion_ci(0.95, "exact")
    assert exact_bounds(share, patients) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("share", "patients"), [(0.5, 3), (1.0, 0), (math.nan, 3)])
def test_exact_bounds_need_a_flawless_share_of_patients(share: float, patients: int) -> None:
    with pytest.raises(ValueError, match=str(patients)):
        exact_bounds(share, patients)


def test_a_flawless_share_has_the_exact_bounds_of_its_patients() -> None:
    """Four right images of two patients bound a specificity as two patients do."""
    labels, scores = np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.1, 0.3, 0.9, 0.2])
    groups = np.array(["a", "a", "b", "b", "c", "d"])
    found = bootstrap_binary_metrics(labels, scores, groups, 0.5, resamples=100, seed=0)
    assert found["specificity"].exact
    assert (found["specificity"].low, found["specificity"].high) == exact_bounds(1.0, 2)
    assert found["precision"].low == exact_bounds(1.0, 1)[0]
    assert not found["sensitivity"].exact
    wrong = bootstrap_binary_metrics(1 - labels, scores, groups, 0.5, resamples=100, seed=0)
    assert (wrong["sensitivity"].low, wrong["sensitivity"].high) == exact_bounds(0.0, 2)
