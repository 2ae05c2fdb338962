from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.models.augment import MIN_VISIBLE, augment, augment_boxes
from core.models.options import AugmentOptions
from tests.core.models.augmentations import OFF, SINGLE

SIDE = 96
GEOMETRIC = {"rotation": 15.0, "shift": 0.2, "zoom": 0.3, "crop": (0.6, 0.9), "flip": True}


def moved(boxes: np.ndarray, options: AugmentOptions, seed: tuple[int, int]) -> np.ndarray:
    key = tf.constant(seed, tf.int32)
    return np.asarray(augment_boxes(tf.constant(boxes, tf.float32), SIDE, options, key))


@pytest.mark.parametrize(
    "changes",
    [*({name: value} for name, value in GEOMETRIC.items()), GEOMETRIC],
    ids=[*GEOMETRIC, "all"],
)
def test_boxes_follow_the_pixels_of_their_rectangles(changes: dict[str, Any]) -> None:
    options = AugmentOptions(**{**OFF, **changes})
    rng = np.random.default_rng(1)
    n = 16
    corners = rng.integers(20, 45, (n, 2)), rng.integers(50, 75, (n, 2))
    drawn = np.zeros((n, SIDE, SIDE, 1), np.uint8)
    for i, ((top, left), (bottom, right)) in enumerate(zip(*corners, strict=True)):
        drawn[i, top:bottom, left:right] = 255
    boxes = (np.concatenate(corners, axis=1) / SIDE)[:, None].astype(np.float32)
    augmented = augment(tf.constant(drawn), options, tf.constant([5, 6], tf.int32)).numpy()[..., 0]
    result = moved(boxes, options, (5, 6))
    compared = 0
    for picture, box in zip(augmented, result[:, 0] * SIDE, strict=True):
        y, x = np.nonzero(picture >= 128)
        if not len(y) or y.min() == 0 or x.min() == 0 or max(y.max(), x.max()) == SIDE - 1:
            continue  # clipped at the border, so corners outside are unknown
        edges = [y.min(), x.min(), y.max() + 1, x.max() + 1]
        # The tip of a rotated corner covers less than half of its pixel.
        np.testing.assert_allclose(box, edges, atol=1.6 if "rotation" in changes else 0.6)
        compared += 1
    assert compared > n // 2


@pytest.mark.parametrize("name", [*SINGLE, None])
def test_only_geometric_changes_move_boxes(name: str | None) -> None:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.5], [np.nan] * 4]], np.float32)
    options = AugmentOptions(**{**OFF, **({name: SINGLE[name]} if name else {})})
    result = moved(np.repeat(boxes, 8, axis=0), options, (1, 2))
    assert np.isnan(result[:, 1]).all()
    assert np.array_equal(result[:, :1], np.repeat(boxes, 8, axis=0)[:, :1]) == (
        name not in GEOMETRIC
    )


def test_boxes_are_clipped_and_dropped_if_mostly_outside() -> None:
    options = AugmentOptions(**{**OFF, "shift": 0.9})
    boxes = np.repeat(np.array([[[0.0, 0.0, 0.4, 0.4]]], np.float32), 64, axis=0)
    free = np.array([[[0.3, 0.3, 0.7, 0.7]]], np.float32)
    result = moved(boxes, options, (3, 4))[:, 0]
    # A box well inside the image shows the shifts, which are the same for all boxes.
    reference = moved(np.repeat(free, 64, axis=0), AugmentOptions(**{**OFF, "shift": 0.2}), (3, 4))[
        :, 0
    ]
    shift = (reference[:, :2] - free[0, 0, :2]) / 0.2 * 0.9
    for box, (down, right) in zip(result, shift, strict=True):
        whole = np.array([down, right, 0.4 + down, 0.4 + right])
        clipped = np.clip(whole, 0, 1)
        part = np.prod(clipped[2:] - clipped[:2]) / 0.16
        if part < MIN_VISIBLE - 1e-3:
            assert np.isnan(box).all()
        elif part > MIN_VISIBLE + 1e-3:
            np.testing.assert_allclose(box, clipped, atol=1e-5)
    assert 0 < np.isnan(result[:, 0]).sum() < 64


def test_no_boxes() -> None:
    assert moved(np.zeros((3, 0, 4)), AugmentOptions(), (1, 1)).shape == (3, 0, 4)
