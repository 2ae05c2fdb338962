from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.models.explain.explanation import MAX_BOXES
from core.models.explain.weak_boxes import connected_components, upsample, weak_boxes


def boxes_of(heat: Any, fraction: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes and scores of one image without padding."""
    boxes, scores = weak_boxes(tf.constant(heat, tf.float32)[tf.newaxis], fraction)
    assert boxes.shape == (1, MAX_BOXES, 4)
    count = int((scores.numpy() >= 0).sum())
    assert (scores.numpy()[0, count:] == -1).all()
    assert (boxes.numpy()[0, count:] == 0).all()
    return boxes.numpy()[0, :count], scores.numpy()[0, :count]


def test_two_regions() -> None:
    heat = np.zeros((40, 40))
    heat[4:12, 8:16] = 0.8
    heat[20:40, 30:36] = 0.6
    boxes, scores = boxes_of(heat)
    np.testing.assert_allclose(boxes, [[0.1, 0.2, 0.3, 0.4], [0.5, 0.75, 1.0, 0.9]], atol=1e-6)
    np.testing.assert_allclose(scores, [0.8, 0.6], atol=1e-6)


def test_fraction_is_relative_to_the_maximum() -> None:
    heat = np.zeros((40, 40))
    heat[10:30, 10:30] = 0.4
    heat[18:22, 18:22] = 1.0
    np.testing.assert_allclose(boxes_of(heat, 0.3)[0], [[0.25, 0.25, 0.75, 0.75]])
    np.testing.assert_allclose(boxes_of(heat, 0.5)[0], [[0.45, 0.45, 0.55, 0.55]])


@pytest.mark.parametrize(
    "heat, count",
    [
        (np.zeros((8, 8)), 0),
        (np.full((8, 8), 1e-6), 1),
        (np.ones((8, 8)), 1),
        (np.ones((1, 1)), 1),
        (np.eye(40), 1),  # corners touch
        (np.pad([[1.0]], 30), 0),  # one cell of 3,721: smaller than any true box
    ],
)
def test_degenerate_maps(heat: np.ndarray, count: int) -> None:
    assert len(boxes_of(heat)[0]) == count


def test_more_regions_than_boxes() -> None:
    heat = np.zeros((60, 60))
    values = np.linspace(0.6, 1.0, 25)
    for i, value in enumerate(values):
        heat[12 * (i // 5) : 12 * (i // 5) + 6, 12 * (i % 5) : 12 * (i % 5) + 6] = value
    _, scores = boxes_of(heat)
    np.testing.assert_allclose(scores, values[::-1][:MAX_BOXES], atol=1e-6)


def test_coarse_map_is_upsampled() -> None:
    heat = np.zeros((1, 7, 7), np.float32)
    heat[0, 2, 3] = 1
    fine = upsample(tf.constant(heat)).numpy()
    assert fine.shape == (1, 35, 35)
    boxes, _ = boxes_of(heat[0])
    (box,) = boxes
    # About one cell, with the same center.
    np.testing.assert_allclose([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], [2.5 / 7, 3.5 / 7])
    assert 0.5 / 7 < box[2] - box[0] < 1.5 / 7


SPIRAL = (
    np.array(
        [
            list(row)
            for row in (
                "#########",
                ".........",
                "#########",
                "#.......#",
                "#.#####.#",
                "#.#...#.#",
                "#.#.###.#",
                "#.#.....#",
                "#.#######",
            )
        ]
    )
    == "#"
)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_components_equal_those_of_scipy(seed: int, share: float) -> None:
    hot = np.random.default_rng(seed).uniform(size=(3, 9, 7)) < share
    labels = connected_components(tf.constant(hot)).numpy()
    for label, mask in zip(labels, hot, strict=True):
        expected, count = ndimage.label(mask, structure=np.ones((3, 3)))
        assert len(set(label[mask].tolist())) == count
        assert (label[~mask] == 0).all()
        pairs = {(a, b) for a, b in zip(label[mask].tolist(), expected[mask].tolist(), strict=True)}
        assert len(pairs) == count


def test_spiral_is_one_component() -> None:
    labels = connected_components(tf.constant(SPIRAL[np.newaxis])).numpy()[0]
    assert len(set(labels[SPIRAL].tolist())) == ndimage.label(SPIRAL, np.ones((3, 3)))[1] == 2


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_boxes_do_not_depend_on_the_batch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.uniform(size=(4, 8, 8)).astype(np.float32) ** 3
    boxes, scores = (part.numpy() for part in weak_boxes(tf.constant(heat), 0.6))
    for i in range(4):
        alone = weak_boxes(tf.constant(heat[i : i + 1]), 0.6)
        np.testing.assert_array_equal(alone[0][0], boxes[i])
        np.testing.assert_array_equal(alone[1][0], scores[i])
        some = boxes[i][scores[i] >= 0]
        assert len(some)
        assert (some[:, :2] < some[:, 2:]).all()
        assert (some >= 0).all()
        assert (some <= 1).all()
        assert (np.diff(scores[i]) <= 0).all()
        assert scores[i].max() <= heat[i].max() + 1e-6
