import math

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from core.metrics.shift import score_shift, shift_warnings


def split(n: int, seed: int, move: float = 0.0, each: int = 2) -> tuple[np.ndarray, ...]:
    """Scores, patients and labels; the images of a patient lie close together."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n), each)
    labels = patients % 2
    base = rng.normal(0, 1, n)[patients]
    scores = 1 / (1 + np.exp(-(2 * labels - 1 + base + 0.1 * rng.normal(size=len(patients)))))
    moved = np.where(labels == 0, np.clip(scores + move, 0, 1), scores)
    return moved, patients, labels


def test_distances_are_those_of_scipy() -> None:
    val, test = split(40, 0), split(50, 1)
    for shift, label in zip(score_shift(val, test), (0, 1), strict=True):
        x, y = val[0][val[2] == label], test[0][test[2] == label]
        assert shift.ks == pytest.approx(ks_2samp(x, y).statistic)
        assert shift.distance == pytest.approx(wasserstein_distance(x, y))
        assert (shift.val_images, shift.test_images) == (len(x), len(y))
        assert shift.val_median == pytest.approx(np.median(x))


def test_a_shift_of_the_normals_is_found_there_and_only_there() -> None:
    found = score_shift(split(120, 0), split(120, 1, move=0.25))
    assert found[0].of == "negative"
    assert found[0].p <= 0.005
    assert found[1].p > 0.05
    lines = shift_warnings(found)
    assert len(lines) == 1
    assert "negative" in lines[0]
    assert score_shift(split(120, 0), split(120, 1, move=0.25)) == found  # seeded


def test_size_under_the_null_with_patients_as_the_unit() -> None:
    """Ten images of each patient: taken one by one they would differ nearly always."""
    hits = naive = 0
    for seed in range(100):
        val, test = split(24, 2 * seed, each=10), split(24, 2 * seed + 1, each=10)
        found = score_shift(val, test, permutations=99)[0]
        hits += found.p <= 0.05
        naive += ks_2samp(val[0][val[2] == 0], test[0][test[2] == 0]).pvalue <= 0.05
    assert 0.01 <= hits / 100 <= 0.1
    assert naive > 50


@pytest.mark.parametrize("labels", [[], [1, 1, -1]])
def test_a_class_that_is_missing_says_nothing(labels: list[int]) -> None:
    val = split(10, 0)
    test = (np.full(len(labels), 0.5), np.arange(len(labels)), np.array(labels, int))
    found = score_shift(val, test)
    assert math.isnan(found[0].p)
    assert math.isnan(found[0].test_median)
    assert shift_warnings(found) == []
    found = score_shift(val, (np.array([0.1, 0.9]), np.array(["a", "a"]), np.array([0, 0])))
    assert math.isnan(found[0].p)  # one patient
    assert found[0].ks > 0


def test_patients_of_the_two_splits_are_never_the_same() -> None:
    val, test = split(30, 0), split(30, 1)
    renamed = (test[0], test[1] + 1000, test[2])
    assert score_shift(val, test) == score_shift(val, renamed)
