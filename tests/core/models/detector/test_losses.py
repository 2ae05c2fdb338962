import numpy as np
import pytest
import tensorflow as tf

from core.models.detector.losses import DetectorLoss, focal
from core.models.detector.targets import center_targets

GRID = (6, 6)


def perfect(targets: np.ndarray) -> np.ndarray:
    heat = np.where(targets[..., :1] == 1, 20.0, -20.0)
    return np.concatenate([heat, targets[..., 1:5]], axis=-1).astype(np.float32)


def targets_for(*boxes: list[float]) -> np.ndarray:
    return center_targets(np.array(boxes, np.float32).reshape(1, -1, 4), GRID, 0.5)


def test_focal_loss_of_an_example() -> None:
    heat = tf.constant([[[1.0, 0.5, 0.0]]])
    logits = tf.constant([[[0.0, 0.0, np.log(3.0)]]], tf.float32)  # p = 0.5, 0.5, 0.75
    expected = 0.25 * np.log(2) + 0.5**4 * 0.25 * np.log(2) + 0.75**2 * np.log(4)
    assert float(focal(heat, logits)[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("boxes", [[], [[0.1, 0.1, 0.6, 0.7]], [[0, 0, 1, 1], [0, 0, 0.3, 0.3]]])
def test_perfect_outputs_have_no_loss(boxes: list[list[float]]) -> None:
    targets, loss = targets_for(*boxes), DetectorLoss(1.0, 1.0, 1.0)
    outputs = perfect(targets)
    assert float(loss(targets, outputs)[0]) == pytest.approx(0, abs=1e-5)
    assert float(loss(targets, -outputs)[0]) > 1
    if boxes:
        worse = outputs + np.array([0, 0.1, 0, 0, 0], np.float32)
        parts = {name: float(value[0]) for name, value in loss.parts(targets, worse).items()}
        assert parts["size_loss"] == pytest.approx(0.1 * len(boxes), rel=0.5)
        assert parts["offset_loss"] == pytest.approx(0, abs=1e-6)


def test_weights_and_normalization() -> None:
    targets = targets_for([0.1, 0.1, 0.6, 0.7])
    outputs = perfect(targets) + np.array([0, 0.5, 0.5, 0.25, 0.25], np.float32)
    loss = DetectorLoss(2.0, 0.1, 3.0)
    parts = loss.parts(targets, outputs)
    whole = parts["heat_loss"] + 0.1 * parts["size_loss"] + 3 * parts["offset_loss"]
    np.testing.assert_allclose(loss(targets, outputs), whole)
    np.testing.assert_allclose(
        parts["size_loss"], DetectorLoss(1.0, 1, 1).parts(targets, outputs)["size_loss"] / 2
    )
    np.testing.assert_allclose(parts["size_loss"], [0.5], rtol=1e-5)  # 2 sides of 0.5, 2 boxes


def test_gradients_of_extreme_outputs_are_finite() -> None:
    targets = tf.constant(targets_for([0.1, 0.1, 0.6, 0.7]))
    for value in (-80.0, 0.0, 80.0):
        outputs = tf.Variable(tf.fill([1, *GRID, 5], value))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(DetectorLoss(1.0, 1.0, 1.0)(targets, outputs))
        assert np.isfinite(tape.gradient(loss, outputs).numpy()).all()
