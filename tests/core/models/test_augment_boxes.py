import numpy as np
import pytest
import tensorflow as tf

from core.models.augment import MIN_VISIBLE, augment, augment_boxes
from core.models.options import AugmentOptions
from tests.core.models.augmentations import ALONE, OFF

SIDE = 96
PLACES = {"rotation": 15.0, "shift": 0.2, "zoom": 0.3, "flip": True}


def moved(boxes: np.ndarray, options: AugmentOptions, seed: tuple[int, int]) -> np.ndarray:
    key = tf.constant(seed, tf.int32)
    return np.asarray(augment_boxes(tf.constant(boxes, tf.float32), SIDE, options, key))


@pytest.mark.parametrize(
    "changes", [*({name: of} for name, of in PLACES.items()), PLACES], ids=[*PLACES, "all"]
)
def test_a_box_goes_where_the_pixels_of_its_rectangle_go(changes: dict[str, float]) -> None:
    """Rectangles are drawn, changed, and looked for."""
    options = AugmentOptions(**{**OFF, **changes})
    rng = np.random.default_rng(1)
    n = 16
    corners = rng.integers(20, 45, (n, 2)), rng.integers(50, 75, (n, 2))
    drawn = np.zeros((n, SIDE, SIDE, 1), np.uint8)
    for i, ((top, left), (bottom, right)) in enumerate(zip(*corners, strict=True)):
        drawn[i, top:bottom, left:right] = 255
    boxes = (np.concatenate(corners, axis=1) / SIDE)[:, None].astype(np.float32)
    seen = augment(tf.constant(drawn), options, tf.constant([5, 6], tf.int32)).numpy()[..., 0]
    found = moved(boxes, options, (5, 6))
    compared = 0
    for picture, box in zip(seen, found[:, 0] * SIDE, strict=True):
        y, x = np.nonzero(picture >= 128)
        if not len(y) or y.min() == 0 or x.min() == 0 or max(y.max(), x.max()) == SIDE - 1:
            continue  # cut at the border: what is drawn there says nothing of corners outside
        edges = [y.min(), x.min(), y.max() + 1, x.max() + 1]
        # The tip of a turned corner fills less than half of its pixel.
        np.testing.assert_allclose(box, edges, atol=1.6 if "rotation" in changes else 0.6)
        compared += 1
    assert compared > n // 2


@pytest.mark.parametrize("name", [*ALONE, None])
def test_what_moves_no_pixel_moves_no_box(name: str | None) -> None:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.5], [np.nan] * 4]], np.float32)
    options = AugmentOptions(**{**OFF, **({name: ALONE[name]} if name else {})})
    found = moved(np.repeat(boxes, 8, axis=0), options, (1, 2))
    assert np.isnan(found[:, 1]).all()
    assert np.array_equal(found[:, :1], np.repeat(boxes, 8, axis=0)[:, :1]) == (name not in PLACES)


def test_boxes_are_cut_at_the_border_and_dropped_when_little_is_left() -> None:
    options = AugmentOptions(**{**OFF, "shift": 0.9})
    boxes = np.repeat(np.array([[[0.0, 0.0, 0.4, 0.4]]], np.float32), 64, axis=0)
    free = np.array([[[0.3, 0.3, 0.7, 0.7]]], np.float32)
    found = moved(boxes, options, (3, 4))[:, 0]
    # The same shifts move a box that is well inside, by as much; so they are known.
    by = moved(np.repeat(free, 64, axis=0), AugmentOptions(**{**OFF, "shift": 0.2}), (3, 4))[:, 0]
    shift = (by[:, :2] - free[0, 0, :2]) / 0.2 * 0.9
    for box, (down, right) in zip(found, shift, strict=True):
        whole = np.array([down, right, 0.4 + down, 0.4 + right])
        cut = np.clip(whole, 0, 1)
        part = np.prod(cut[2:] - cut[:2]) / 0.16
        if part < MIN_VISIBLE - 1e-3:
            assert np.isnan(box).all()
        elif part > MIN_VISIBLE + 1e-3:
            np.testing.assert_allclose(box, cut, atol=1e-5)
    assert 0 < np.isnan(found[:, 0]).sum() < 64


def test_no_boxes_at_all() -> None:
    assert moved(np.zeros((3, 0, 4)), AugmentOptions(), (1, 1)).shape == (3, 0, 4)
