import numpy as np
import pytest
import tensorflow as tf

from core.models.explain.explanation import Explanation
from core.models.explain.heat_threshold import FRACTIONS, MIN_IMAGES, select_heat_threshold
from core.models.explain.weak_boxes import DEFAULT_FRACTION, weak_boxes

SIDE = 40


def hills(n: int, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Round hills, whose box is where they stand above 0.3 of their top."""
    rng = np.random.default_rng(seed)
    pixels, truth = np.zeros((n, SIDE, SIDE, 1), np.uint8), []
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    for i in range(n):
        cy, cx = rng.uniform(14, 26, 2)
        spread = rng.uniform(3, 5)
        pixels[i, :, :, 0] = 250 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * spread**2))
        radius = spread * np.sqrt(2 * np.log(1 / 0.3))
        truth.append(np.array([[cy - radius, cx - radius, cy + radius, cx + radius]]) / SIDE)
    return pixels, truth


def explain(pixels: tf.Tensor) -> Explanation:
    """The picture itself is the heat; pictures that are dark at the first pixel are called."""
    heat = pixels[..., 0] / 255.0
    boxes, scores = weak_boxes(heat)
    return Explanation(heat, boxes, tf.where(pixels[:, 0, 0] < 200, scores, -1.0))


def test_the_part_that_the_true_boxes_have_is_found() -> None:
    found = select_heat_threshold(explain, *hills(30))
    assert found.fraction == pytest.approx(0.3, abs=0.051)
    assert found.images == 30
    assert found.score is not None
    assert found.score > 0.9
    assert found.fraction in FRACTIONS
    assert found.note == ""


def test_images_that_are_not_called_are_not_chosen_on() -> None:
    pixels, truth = hills(30)
    wrong = [np.array([[0.0, 0.0, 0.01, 0.01]])] * 15
    pixels[:15, 0, 0] = 255
    some = select_heat_threshold(explain, pixels, wrong + truth[15:])
    assert some.images == 15
    assert some == select_heat_threshold(explain, pixels[15:], truth[15:])


def test_where_no_part_finds_anything_the_default_stays() -> None:
    pixels, truth = hills(20)
    found = select_heat_threshold(
        explain, pixels, [np.array([[0.0, 0.0, 0.01, 0.01]])] * len(truth)
    )
    assert (found.fraction, found.images, found.score) == (DEFAULT_FRACTION, 20, 0.0)
    assert "no threshold gives" in found.note


def test_of_equal_parts_the_nearest_to_the_default() -> None:
    """Flat squares: every part gives the same boxes."""
    pixels = np.zeros((12, SIDE, SIDE, 1), np.uint8)
    pixels[:, 8:24, 8:24] = 250
    found = select_heat_threshold(explain, pixels, [np.array([[0.2, 0.2, 0.6, 0.6]])] * 12)
    assert (found.fraction, found.score) == (DEFAULT_FRACTION, 1.0)


@pytest.mark.parametrize("n", [0, MIN_IMAGES - 1])
def test_too_few_leave_the_default(n: int) -> None:
    found = select_heat_threshold(explain, *hills(n))
    assert (found.fraction, found.images, found.score) == (DEFAULT_FRACTION, n, None)
    assert "fewer than 10" in found.note
