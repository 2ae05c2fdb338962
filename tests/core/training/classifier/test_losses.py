import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from core.training.classifier.losses import class_objective, partial_cross_entropy
from core.training.options import DistillOptions, TrainingOptions


def loss(targets: list[list[float]], logits: list[list[float]], **options: float) -> np.ndarray:
    return partial_cross_entropy(
        tf.constant(targets, tf.float32), tf.constant(logits, tf.float32), **options
    ).numpy()


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.integers(0, 2))
def test_one_class_is_the_usual_cross_entropy(logits: list[float], label: int) -> None:
    target = np.eye(3)[label].tolist()
    usual = tf.nn.sparse_softmax_cross_entropy_with_logits([label], [logits]).numpy()
    np.testing.assert_allclose(loss([target], [logits]), usual, rtol=1e-4, atol=1e-5)


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_several_classes_are_summed(logits: list[float]) -> None:
    p = np.exp(np.array(logits) - max(logits))
    expected = -np.log((p[1] + p[2]) / p.sum())
    np.testing.assert_allclose(loss([[0, 1, 1]], [logits]), expected, rtol=1e-3, atol=1e-5)
    # Every class is possible, so the loss is 0.
    np.testing.assert_allclose(loss([[1, 1, 1]], [logits]), 0, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_of_confident_predictions_are_finite(gamma: float, smoothing: float) -> None:
    logits = tf.constant([[100.0, -100.0, -100.0]] * 2)
    targets = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = partial_cross_entropy(targets, logits, focal_gamma=gamma, label_smoothing=smoothing)
    gradient = tape.gradient(value, logits).numpy()
    assert np.isfinite(gradient).all()
    assert value.numpy()[1] > 100


def test_focal_loss_reduces_the_weight_of_easy_images() -> None:
    easy, hard = [[3.0, 0.0]], [[0.0, 3.0]]
    ratio = loss([[1, 0]], hard) / loss([[1, 0]], easy)
    focal = loss([[1, 0]], hard, focal_gamma=2.0) / loss([[1, 0]], easy, focal_gamma=2.0)
    assert focal > 10 * ratio
    np.testing.assert_allclose(loss([[1, 0]], easy, focal_gamma=0.0), loss([[1, 0]], easy))


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 1.0), (0.3, 2.0)])
def test_distillation_adds_the_cross_entropy_with_the_teacher(
    mixed: bool, weight: float, temperature: float
) -> None:
    options = TrainingOptions.model_construct(
        distill=DistillOptions(teacher="t", weight=weight, temperature=temperature)
    )
    objective = class_objective(options)
    labels, teacher = np.array([[0.0, 1.0, 1.0]]), np.array([[0.2, 0.5, 0.3]])
    targets = np.concatenate([labels, teacher], axis=1)
    if mixed:  # with itself
        targets = np.stack([0.25 * targets, 0.75 * targets], axis=1)
    logits = tf.constant([[0.5, -1.0, 2.0]])
    log_p = tf.nn.log_softmax(logits / temperature).numpy()
    soft = -(temperature**2) * (teacher * log_p).sum(axis=1)
    hard = loss(labels.tolist(), logits.numpy().tolist())
    given = tf.constant(targets, tf.float32)
    found = objective.loss(given, logits).numpy()
    np.testing.assert_allclose(found, (1 - weight) * hard + weight * soft, rtol=1e-5)
    np.testing.assert_allclose(objective.validation_loss(given, logits), hard, rtol=1e-5)
    np.testing.assert_allclose(objective.metrics["accuracy"](given, logits), 1.0)
