from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images.boxes import fit_boxes, unfit_boxes
from core.images.resize_tf import resize_gray
from core.images.rules import FITS

SIDE = st.integers(1, 3000)
PART = st.floats(0, 1, width=32)


@pytest.mark.parametrize(
    ("height", "width", "fit", "expected"),
    [
        (100, 100, "stretch", [0.1, 0.2, 0.5, 1.0]),
        (100, 300, "stretch", [0.1, 0.2, 0.5, 1.0]),
        (100, 100, "pad", [0.1, 0.2, 0.5, 1.0]),
        (100, 200, "pad", [0.3, 0.2, 0.5, 1.0]),  # half the height, a quarter above
        (200, 100, "pad", [0.1, 0.35, 0.5, 0.75]),
        (100, 100, "crop", [0.1, 0.2, 0.5, 1.0]),
        (100, 200, "crop", [0.1, 0.0, 0.5, 1.0]),  # columns 50 to 150
        (100, 160, "crop", [0.1, 0.02, 0.5, 1.0]),  # columns 30 to 130
        (200, 100, "crop", [0.0, 0.2, 0.5, 1.0]),  # rows 50 to 150
        (101, 100, "crop", [0.101, 0.2, 0.505, 1.0]),  # the first row to the last but one
        (300, 100, "crop", [0.0, 0.2, 0.5, 1.0]),
    ],
)
def test_cases(height: int, width: int, fit: str, expected: list[float]) -> None:
    boxes = np.array([[0.1, 0.2, 0.5, 1.0]], np.float32)
    np.testing.assert_allclose(fit_boxes(boxes, height, width, fit), [expected], atol=1e-6)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]),
        ([0.2, 0.3, 0.4, 0.5], [0.2, 0.1, 0.4, 0.5]),
        ([0.2, 0.1, 0.4, 0.5], [0.2, 0.0, 0.4, 0.5]),
        ([0.2, 0.0, 0.4, 0.25], None),  # touches the crop
        ([0.2, 0.8, 0.4, 1.0], None),
        ([float("nan")] * 4, None),
    ],
)
@pytest.mark.parametrize("kind", [np.array, tf.constant])
def test_boxes_outside_the_crop_are_missing(
    box: list[float], expected: list[float] | None, kind: Any
) -> None:
    fitted = fit_boxes(kind([[box]], np.float32), np.array([100]), np.array([200]), "crop", 64)
    np.testing.assert_allclose(fitted, [[expected or [np.nan] * 4]], atol=1e-6)


@given(SIDE, SIDE, st.sampled_from(FITS), st.sampled_from([None, 64, 299]), PART, PART)
@settings(max_examples=100)
def test_the_inverse_and_tensors(
    height: int, width: int, fit: str, size: int | None, a: float, b: float
) -> None:
    boxes = np.array([[[a, b, 1, 0.5]], [[0, 0, 1, 1]]], np.float32)
    heights, widths = np.array([height, 40]), np.array([width, 40])
    fitted = fit_boxes(boxes, heights, widths, fit, size)
    assert fitted.shape == boxes.shape
    assert fitted.dtype == np.float32
    assert not (fitted < 0).any()
    assert not (fitted > 1 + 1e-6).any()
    # A side of one pixel of 3000 magnifies the rounding of float32.
    back = unfit_boxes(fitted, heights, widths, fit, size)
    if fit == "crop":  # what is left of a box
        square = unfit_boxes(np.array([[[0, 0, 1, 1]]], np.float32), heights, widths, fit)
        boxes = np.clip(boxes, np.tile(square[..., :2], 2), np.tile(square[..., 2:], 2))
        boxes = np.where(np.isnan(back), np.nan, boxes)
    np.testing.assert_allclose(back, boxes, atol=3e-7 * max(height / width, width / height) + 1e-6)
    tensor = fit_boxes(tf.constant(boxes), tf.constant(heights), tf.constant(widths), fit, size)
    np.testing.assert_allclose(tensor, fitted, atol=1e-6)
    again = unfit_boxes(tensor, tf.constant(heights), tf.constant(widths), fit, size)
    np.testing.assert_allclose(again, back, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("height", "width"), [(120, 120), (90, 200), (211, 80), (400, 37)])
def test_a_box_is_where_the_pixels_of_its_rectangle_are(height: int, width: int, fit: str) -> None:
    size = 64
    rng = np.random.default_rng(height)
    for _ in range(5):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        bottom = rng.integers(top + height // 4, height) + 1
        right = rng.integers(left + width // 4, width) + 1
        drawn = np.zeros((height, width, 1), np.uint8)
        drawn[top:bottom, left:right] = 255
        seen = resize_gray(tf.constant(drawn), size, fit).numpy()[..., 0] / 255.0
        box = np.array([top / height, left / width, bottom / height, right / width], np.float32)
        ymin, xmin, ymax, xmax = fit_boxes(box, height, width, fit, size) * size
        if np.isnan(ymin):
            assert not seen.any()
            continue
        # Sums along the axes: antialiased edges count in part, so the box is met below a pixel.
        rows, columns = seen.max(axis=1), seen.max(axis=0)
        assert rows.sum() == pytest.approx((ymax - ymin) * rows.max(), abs=0.2)
        assert columns.sum() == pytest.approx((xmax - xmin) * columns.max(), abs=0.2)
        centre_y = (rows * (np.arange(size) + 0.5)).sum() / rows.sum()
        centre_x = (columns * (np.arange(size) + 0.5)).sum() / columns.sum()
        assert centre_y == pytest.approx((ymin + ymax) / 2, abs=0.2)
        assert centre_x == pytest.approx((xmin + xmax) / 2, abs=0.2)


def test_no_box_and_a_wrong_fit() -> None:
    none = np.zeros((0, 4), np.float32)
    assert fit_boxes(none, 10, 20, "pad").shape == (0, 4)
    assert fit_boxes(none, 10, 20, "crop").shape == (0, 4)
    with pytest.raises(ValueError, match="'fill'"):
        fit_boxes(none, 10, 20, "fill")
