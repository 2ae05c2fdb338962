"""Prediction sets: values by hand, and the guarantee on exchangeable data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics.bootstrap import clustered_bootstrap
from core.metrics.decisions.conformal import (
    ConformalPredictor,
    conformal_quantile,
    cross_fitted_sets,
    nonconformity,
    set_statistics,
)


def exchangeable(n: int, seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a model that is overconfident."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    p, sure = (np.exp(k * logits) / np.exp(k * logits).sum(axis=1, keepdims=True) for k in (1, 3))
    return (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), sure


def test_nonconformity_by_hand() -> None:
    found = nonconformity(np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]]))
    assert found == pytest.approx(np.array([[0.5, 0.7, 0.8], [1.0, 1.0, 0.0]]))


@pytest.mark.parametrize(
    ("n", "alpha", "expected"),
    [
        (9, 0.1, 9),  # rank ceil(10 * 0.9) = 9
        (10, 0.1, 10),
        (19, 0.1, 18),
        (99, 0.05, 95),
        (8, 0.1, math.inf),  # rank 9 of 8
        (0, 0.1, math.inf),
        (1, 0.5, 1),
        (3, 0.999, 1),
    ],
)
def test_quantile_by_hand(n: int, alpha: float, expected: float) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert conformal_quantile(scores, alpha) == expected


def test_sets_by_hand() -> None:
    # The true class has probability 0.9, 0.8, 0.3: 1 - p is 0.1, 0.2, 0.7.
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    labels = np.array([0, 1, 1])
    one = ConformalPredictor.fit(labels, p, 0.5)  # rank 2 of 3
    assert one.quantiles == pytest.approx((0.2, 0.2))
    new = np.array([[0.85, 0.15], [0.6, 0.4], [0.1, 0.9]])
    assert one.sets(new).tolist() == [[True, False], [False, False], [False, True]]
    each = ConformalPredictor.fit(labels, p, 0.5, by_class=True)  # rank 1 of 1, 2 of 2
    assert each.quantiles == pytest.approx((0.1, 0.7))
    assert each.sets(new).tolist() == [[False, False], [False, True], [False, True]]


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("by_class", [False, True])
def test_coverage_is_guaranteed_on_exchangeable_data(alpha: float, by_class: bool) -> None:
    n, repeats, m = 120, 150, 200
    coverages = []
    for seed in range(repeats):
        labels, p = exchangeable(n + m, seed)
        fitted = ConformalPredictor.fit(labels[:n], p[:n], alpha, by_class=by_class)
        covered = fitted.sets(p[n:])[np.arange(m), labels[n:]]
        parts = [labels[n:] == c for c in range(3)] if by_class else [np.ones(m, bool)]
        coverages.append([covered[part].mean() for part in parts])
    mean, error = (f(np.array(coverages), axis=0) for f in (np.mean, np.std))
    error = error / math.sqrt(repeats)
    assert (mean >= 1 - alpha - 3 * error).all()
    smallest = n / 3 if by_class else n  # at most 1 / (n + 1) too much, without ties
    assert (mean <= 1 - alpha + 1 / (0.7 * smallest) + 3 * error).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 60),
    st.floats(0.01, 0.98),
    st.floats(0.01, 0.98),
    st.booleans(),
)
def test_sets_shrink_as_alpha_grows(seed: int, n: int, a: float, b: float, by_class: bool) -> None:
    labels, p = exchangeable(n + 20, seed)
    small, large = (
        ConformalPredictor.fit(labels[:n], p[:n], alpha, by_class=by_class)
        for alpha in sorted((a, b))
    )
    assert (small.sets(p[n:]) >= large.sets(p[n:])).all()


def test_cross_fitting_never_calibrates_on_the_same_patient() -> None:
    # Every image of patient 7 is wrong: its own scores would widen its sets.
    labels, p = exchangeable(400, 0)
    patients = np.arange(400) // 20
    own = patients == 7
    p = np.where(own[:, None], np.eye(3)[(labels + 1) % 3], np.eye(3)[labels])
    sets = cross_fitted_sets(labels, p, patients, 0.06)
    assert not sets[own][np.arange(20), labels[own]].any()
    assert sets[~own].any(axis=1).all()
    whole = ConformalPredictor.fit(labels, p, 0.04).sets(p)
    assert whole.all()  # 5 % of the scores are 1


@pytest.mark.parametrize("folds", [2, 10, 1000])
def test_cross_fitted_coverage(folds: int) -> None:
    labels, p = exchangeable(500, 1)
    sets = cross_fitted_sets(labels, p, np.arange(500), 0.1, folds=folds)
    assert sets[np.arange(500), labels].mean() == pytest.approx(0.9, abs=0.03)
    again = cross_fitted_sets(labels, p, np.arange(500), 0.1, folds=folds)
    assert (sets == again).all()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_images_give_sets_of_all_classes(n: int) -> None:
    labels, p = exchangeable(n, 0)
    assert cross_fitted_sets(labels, p, np.zeros(n), 0.1).all()  # one patient: nothing to fit on
    assert ConformalPredictor.fit(labels, p, 0.1).sets(np.full((2, 3), 1 / 3)).all()


def test_class_without_calibration_images_is_always_in_the_set() -> None:
    labels, p = np.zeros(100, int), np.tile([0.9, 0.05, 0.05], (100, 1))
    fitted = ConformalPredictor.fit(labels, p, 0.1, by_class=True)
    assert fitted.quantiles == (pytest.approx(0.1), math.inf, math.inf)
    assert fitted.sets(p[:1]).tolist() == [[True, True, True]]


def test_constant_probabilities() -> None:
    labels, p = np.arange(90) % 3, np.full((90, 3), 1 / 3)
    assert ConformalPredictor.fit(labels, p, 0.1).sets(p).all()


def test_statistics_by_hand() -> None:
    labels = np.array([0, 0, 1, 1])
    sets = np.array([[1, 0], [0, 0], [1, 1], [1, 0]], bool)
    statistics, shares = set_statistics(labels, sets, ("A", "B"))
    found = {name: float(value[0]) for name, value in statistics(np.ones((1, 4))).items()}
    assert found == {
        "coverage": 0.5,
        "coverage/A": 0.5,
        "coverage/B": 0.5,
        "single": 0.5,
        "empty": 0.25,
        "size": 1.0,
    }
    assert {name: int(counted.sum()) for name, counted in shares.items()} == {
        "coverage": 4,
        "coverage/A": 2,
        "coverage/B": 2,
        "single": 4,
        "empty": 4,
    }
    intervals = clustered_bootstrap(statistics, np.arange(4), shares=shares, resamples=50, seed=0)
    assert intervals["coverage"].low <= 0.5 <= intervals["coverage"].high


def test_statistics_of_a_missing_class_are_undefined() -> None:
    statistics, shares = set_statistics(np.array([0]), np.array([[True, False]]), ("A", "B"))
    found = clustered_bootstrap(statistics, np.zeros(1), shares=shares, resamples=10, seed=0)
    assert math.isnan(found["coverage/B"].estimate)
    assert found["coverage/A"].exact


@pytest.mark.parametrize(
    ("labels", "p", "alpha", "message"),
    [
        ([0], [[0.5, 0.5]], 0.0, "alpha"),
        ([0], [[0.5, 0.5]], 1.0, "alpha"),
        ([2], [[0.5, 0.5]], 0.1, "labels"),
        ([-1], [[0.5, 0.5]], 0.1, "labels"),
        ([0, 1], [[0.5, 0.5]], 0.1, "labels"),
        ([0], [[0.5, math.nan]], 0.1, "finite"),
        ([0], [0.5], 0.1, "shape"),
    ],
)
def test_invalid_input(labels: list[int], p: list, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConformalPredictor.fit(np.array(labels), np.array(p), alpha)
