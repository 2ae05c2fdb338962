import numpy as np
import pytest
import tensorflow as tf

from core.metrics.boxes import iou as reference
from core.metrics.boxes.operating_point import COMBINES, Combine, combined_scores
from core.models.detector.decode import (
    apply_operating_point,
    average_members,
    decode_boxes,
    non_max_suppression,
    pairwise_iou,
)
from core.models.detector.targets import center_targets, pad_boxes
from core.models.explain.explanation import MAX_BOXES

GRID = (12, 16)

TRUE = {
    "none": [],
    "one": [[0.2, 0.3, 0.5, 0.6]],
    "three": [[0.0, 0.0, 0.3, 0.25], [0.5, 0.6, 1.0, 1.0], [0.55, 0.05, 0.9, 0.4]],
    "at borders": [[0.0, 0.7, 0.2, 1.0], [0.8, 0.0, 1.0, 0.2]],
    "the whole image": [[0, 0, 1, 1]],
}


@pytest.mark.parametrize("boxes", TRUE.values(), ids=TRUE.keys())
def test_targets_decode_to_their_boxes(boxes: list[list[float]]) -> None:
    inputs = [np.reshape(np.array(boxes, np.float32), (-1, 4)), np.zeros((0, 4), np.float32)]
    targets = center_targets(pad_boxes(inputs), GRID, 0.5)
    decoded, heat = decode_boxes(tf.constant(targets[..., 0]), tf.constant(targets[..., 1:5]), 0.3)
    assert decoded.shape == (2, MAX_BOXES, 4)
    assert (heat.numpy() >= 0).sum(axis=1).tolist() == [len(boxes), 0]
    kept = sorted(decoded[0].numpy()[: len(boxes)].tolist())
    np.testing.assert_allclose(
        np.reshape(kept, (-1, 4)), np.reshape(sorted(boxes), (-1, 4)), atol=1e-5
    )
    assert not decoded[0].numpy()[len(boxes) :].any()
    assert (heat[0].numpy()[: len(boxes)] == 1).all()


def test_small_grid_with_a_constant_map() -> None:
    heat = tf.fill([1, 2, 3], 0.5)
    boxes, scores = decode_boxes(heat, tf.zeros([1, 2, 3, 4]), 0.3)
    assert boxes.shape == (1, MAX_BOXES, 4)
    assert (scores.numpy() >= 0).sum() >= 1
    assert float(tf.reduce_max(boxes)) <= 1
    assert float(tf.reduce_min(boxes)) >= 0


def greedy(boxes: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] < 0:
            continue
        if all(reference.box_iou(boxes[[i]], boxes[[j]])[0, 0] <= limit for j in kept):
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.7, 1.0])
def test_non_max_suppression_is_greedy(limit: float) -> None:
    rng = np.random.default_rng(4)
    corners = rng.uniform(0, 1, (20, 12, 2, 2))
    boxes = np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=-1).astype(np.float32)
    boxes[3] = boxes[3, :1]  # the same box twelve times
    scores = -np.sort(-rng.uniform(-0.3, 1, (20, 12)), axis=1).astype(np.float32)
    np.testing.assert_allclose(
        pairwise_iou(tf.constant(boxes)), reference.box_iou(boxes, boxes), atol=1e-5
    )
    kept_scores = non_max_suppression(tf.constant(boxes), tf.constant(scores), limit).numpy()
    for i in range(len(boxes)):
        assert np.flatnonzero(kept_scores[i] >= 0).tolist() == greedy(boxes[i], scores[i], limit)
    assert set(kept_scores[kept_scores < 0].tolist()) <= {-1.0}


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("shrink", [0.8, 1.0, 1.1])
def test_operating_point_is_applied_as_in_the_metrics(combine: Combine, shrink: float) -> None:
    boxes = np.array([[[0.2, 0.3, 0.6, 0.5], [0.5, 0.5, 0.7, 0.9], [0, 0, 0, 0]]], np.float32)
    heat = np.array([[0.8, 0.4, -1.0]], np.float32)
    score = np.array([0.7], np.float32)
    inputs = tf.constant(boxes), tf.constant(heat), tf.constant(score)
    decoded, scores = apply_operating_point(*inputs, combine, shrink)
    np.testing.assert_allclose(
        decoded[0, :2], reference.resize_boxes(boxes[0, :2], shrink), atol=1e-6
    )
    np.testing.assert_allclose(
        scores[0, :2], combined_scores(combine, heat[0, :2], score), atol=1e-6
    )
    assert scores[0, 2] == -1
    assert not decoded[0, 2].numpy().any()


def test_unknown_combination() -> None:
    with pytest.raises(ValueError, match="'sum'"):
        apply_operating_point(tf.zeros([1, 1, 4]), tf.zeros([1, 1]), tf.zeros([1]), "sum", 1.0)


def test_members_are_averaged() -> None:
    one = tf.constant([[[[2.0, 0.0, 1.0, 0.2, 0.4]]]])
    other = tf.constant([[[[-2.0, 1.0, 1.0, 0.4, 0.0]]]])
    heat, geometry = average_members([one, other])
    assert float(heat[0, 0, 0]) == pytest.approx(0.5)
    np.testing.assert_allclose(geometry[0, 0, 0], [0.5, 1.0, 0.3, 0.2], atol=1e-6)
