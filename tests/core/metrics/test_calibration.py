import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from core.metrics.calibration import fit_temperature, negative_log_likelihood, softmax


def honest(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the truth, and labels drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    labels = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize(("factor", "classes"), [(0.3, 2), (1.0, 3), (2.5, 2), (8.0, 3)])
def test_finds_the_factor_that_made_the_logits_too_sure(factor: float, classes: int) -> None:
    logits, labels = honest(6000, classes)
    targets = np.eye(classes)[labels]
    found = fit_temperature(factor * logits, targets)
    assert found == pytest.approx(factor, rel=0.06)
    least = negative_log_likelihood(factor * logits, targets, found)
    assert least <= min(
        negative_log_likelihood(factor * logits, targets, found * by) for by in (1.02, 1 / 1.02)
    )


def test_partial_labels_count_by_their_sum_and_rows_without_one_not_at_all() -> None:
    logits, labels = honest(8000, 3)
    targets = np.eye(3)[labels]
    targets[:4000, 1:] = targets[:4000, 1:].max(axis=1, keepdims=True)  # 1 or 2, unknown which
    assert fit_temperature(2.0 * logits, targets) == pytest.approx(2.0, rel=0.06)
    p = softmax(logits[:1])[0]
    partial = np.array([[0, 1, 1]])
    assert negative_log_likelihood(logits[:1], partial) == pytest.approx(-math.log(p[1] + p[2]))
    with_rows = np.concatenate([targets, np.zeros((10, 3))])
    more = np.concatenate([logits, np.full((10, 3), 99.0)])
    assert fit_temperature(more, with_rows) == pytest.approx(fit_temperature(logits, targets))
    assert negative_log_likelihood(more, with_rows) == pytest.approx(
        negative_log_likelihood(logits, targets)
    )


@pytest.mark.parametrize(
    ("logits", "targets"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3))),  # nothing
        (np.ones((4, 2)), np.zeros((4, 2))),  # no label
        (np.ones((4, 2)), np.ones((4, 2))),  # labels that say nothing
        (np.random.default_rng(0).normal(size=(9, 3)), np.eye(3)[[1] * 9]),  # one class
        (np.array([[1.0, 0.0], [0.0, 1.0]]), np.eye(2)),  # all right
    ],
)
def test_a_split_that_does_not_determine_it_changes_nothing(
    logits: np.ndarray, targets: np.ndarray
) -> None:
    assert fit_temperature(logits, targets) == 1.0


@pytest.mark.parametrize(
    ("logits", "targets", "says"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), "2-D and of equal shape"),
        (np.zeros(3), np.zeros(3), "2-D and of equal shape"),
        (np.array([[0.0, 1.0], [math.nan, 0.0]]), np.eye(2), "at index 1"),
    ],
)
def test_bad_input(logits: np.ndarray, targets: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fit_temperature(logits, targets)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.06, 19))
def test_scaling_keeps_the_predicted_class(seed: int, temperature: float) -> None:
    logits, _ = honest(30, 4, seed)
    scaled = softmax(logits, temperature)
    assert (scaled.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert scaled.sum(axis=1) == pytest.approx(1.0)
    assert scaled == pytest.approx(softmax(logits / temperature))


def test_softmax_of_huge_logits_and_of_log_probabilities() -> None:
    assert softmax(np.array([1e5, 0.0])).tolist() == [1.0, 0.0]
    p = np.array([[0.2, 0.3, 0.5]])
    assert softmax(np.log(p)) == pytest.approx(p)
    with pytest.raises(ValueError, match="above 0"):
        softmax(p, 0.0)


def test_likelihood_against_scikit_learn() -> None:
    logits, labels = honest(400, 3)
    assert negative_log_likelihood(logits, np.eye(3)[labels]) == pytest.approx(
        log_loss(labels, softmax(logits))
    )


def test_integer_weights_equal_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    targets = np.eye(3)[rng.integers(0, 3, 60)]
    logits = 3 * rng.normal(size=(60, 3)) + 2 * targets
    weights = rng.integers(1, 4, 60)
    repeated = np.repeat(np.arange(60), weights)
    expected = fit_temperature(logits[repeated], targets[repeated])
    assert fit_temperature(logits, targets, weights) == pytest.approx(expected, rel=1e-4)
    assert fit_temperature(logits, targets) != pytest.approx(expected, rel=1e-3)
