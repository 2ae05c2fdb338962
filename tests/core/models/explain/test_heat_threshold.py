import numpy as np
import pytest
import tensorflow as tf

from core.models.explain.explanation import Explanation
from core.models.explain.heat_threshold import FRACTIONS, MIN_IMAGES, select_heat_threshold
from core.models.explain.weak_boxes import DEFAULT_FRACTION, weak_boxes

SIDE = 40


def gaussians(n: int, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns images of Gaussians, and the boxes of the region above 0.3 of the maximum."""
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
    """Uses the image as heat; an image with a dark first pixel is predicted positive."""
    heat = pixels[..., 0] / 255.0
    boxes, scores = weak_boxes(heat)
    return Explanation(heat, boxes, tf.where(pixels[:, 0, 0] < 200, scores, -1.0))


def test_finds_the_threshold_of_the_true_boxes() -> None:
    result = select_heat_threshold(explain, *gaussians(30))
    assert result.fraction == pytest.approx(0.3, abs=0.051)
    assert result.images == 30
    assert result.score is not None
    assert result.score > 0.9
    assert result.fraction in FRACTIONS
    assert result.note == ""


def test_images_predicted_negative_are_ignored() -> None:
    pixels, truth = gaussians(30)
    wrong = [np.array([[0.0, 0.0, 0.01, 0.01]])] * 15
    pixels[:15, 0, 0] = 255
    some = select_heat_threshold(explain, pixels, wrong + truth[15:])
    assert some.images == 15
    assert some == select_heat_threshold(explain, pixels[15:], truth[15:])


def test_default_if_no_threshold_gives_a_correct_box() -> None:
    pixels, truth = gaussians(20)
    result = select_heat_threshold(
        explain, pixels, [np.array([[0.0, 0.0, 0.01, 0.01]])] * len(truth)
    )
    assert (result.fraction, result.images, result.score) == (DEFAULT_FRACTION, 20, 0.0)
    assert "no threshold gives" in result.note


def test_of_equal_scores_the_threshold_nearest_to_the_default() -> None:
    """Constant squares: every threshold gives the same boxes."""
    pixels = np.zeros((12, SIDE, SIDE, 1), np.uint8)
    pixels[:, 8:24, 8:24] = 250
    result = select_heat_threshold(explain, pixels, [np.array([[0.2, 0.2, 0.6, 0.6]])] * 12)
    assert (result.fraction, result.score) == (DEFAULT_FRACTION, 1.0)


@pytest.mark.parametrize("n", [0, MIN_IMAGES - 1])
def test_default_if_there_are_too_few_images(n: int) -> None:
    result = select_heat_threshold(explain, *gaussians(n))
    assert (result.fraction, result.images, result.score) == (DEFAULT_FRACTION, n, None)
    assert "fewer than 10" in result.note
