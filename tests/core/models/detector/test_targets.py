import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models.detector.targets import center_targets, gaussian_radius, pad_boxes

GRID = (8, 10)
MIN_OVERLAP = 0.5


def targets(*boxes: list[float], grid: tuple[int, int] = GRID) -> np.ndarray:
    return center_targets(np.array(boxes, np.float32).reshape(1, -1, 4), grid, MIN_OVERLAP)[0]


# Boxes, cells of the centers, (log height, log width, offset y, offset x) there.
CASES = {
    "one in the middle of a cell": (
        [[0.25, 0.3, 0.625, 0.8]],
        [(3, 5)],
        [[np.log(0.375), np.log(0.5), 0.5, 0.5]],
    ),
    "at the border": (
        [[0.75, 0.8, 1.0, 1.0]],
        [(7, 9)],
        [[np.log(0.25), np.log(0.2), 0.0, 0.0]],
    ),
    "center on the last edge": (
        [[1.0, 1.0, 1.0, 1.0]],
        [(7, 9)],
        [[np.log(1e-3), np.log(1e-3), 1.0, 1.0]],
    ),
    "of one cell": (
        [[0.125, 0.1, 0.25, 0.2]],
        [(1, 1)],
        [[np.log(0.125), np.log(0.1), 0.5, 0.5]],
    ),
    "the whole image": ([[0, 0, 1, 1]], [(4, 5)], [[0.0, 0.0, 0.0, 0.0]]),
    "two with one center cell: the larger": (
        [[0.3, 0.3, 0.7, 0.72], [0.1, 0.1, 0.92, 0.92]],
        [(4, 5)],
        [[np.log(0.82), np.log(0.82), 0.08, 0.1]],
    ),
    "two apart": (
        [[0.0, 0.0, 0.25, 0.2], [0.5, 0.6, 1.0, 1.0]],
        [(1, 1), (6, 8)],
        [[np.log(0.25), np.log(0.2), 0.0, 0.0], [np.log(0.5), np.log(0.4), 0.0, 0.0]],
    ),
}


@pytest.mark.parametrize(("boxes", "cells", "expected"), CASES.values(), ids=CASES.keys())
def test_cases(
    boxes: list[list[float]], cells: list[tuple[int, int]], expected: list[list[float]]
) -> None:
    result = targets(*boxes)
    assert sorted(zip(*np.nonzero(result[..., 0] == 1), strict=True)) == cells
    for cell, values in zip(cells, expected, strict=True):
        np.testing.assert_allclose(result[cell][1:5], values, atol=1e-5)
        assert result[cell][5] == 1
    assert np.isfinite(result).all()
    assert result[..., 0].min() >= 0
    # Every cell with a weight points to the center of a box.
    y, x = np.nonzero(result[..., 5])
    centers = [((b[0] + b[2]) / 2 * GRID[0], (b[1] + b[3]) / 2 * GRID[1]) for b in boxes]
    for row, column in zip(y, x, strict=True):
        center = (row + result[row, column, 3], column + result[row, column, 4])
        assert min(np.hypot(center[0] - m[0], center[1] - m[1]) for m in centers) < 1e-5
    assert not result[result[..., 5] == 0][:, 1:5].any()


@pytest.mark.parametrize("boxes_per_image", [0, 3])
def test_no_box(boxes_per_image: int) -> None:
    boxes = np.full((2, boxes_per_image, 4), np.nan, np.float32)
    result = center_targets(boxes, GRID, MIN_OVERLAP)
    assert result.shape == (2, *GRID, 6)
    assert not result.any()


def test_targets_do_not_depend_on_padding_and_batch() -> None:
    several = [np.array([[0.1, 0.1, 0.5, 0.6]]), np.zeros((0, 4)), np.array([[0, 0, 1, 1]] * 2)]
    together = center_targets(pad_boxes(several), GRID, MIN_OVERLAP)
    for boxes, result in zip(several, together, strict=True):
        np.testing.assert_array_equal(result, targets(*boxes))


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    intersection = np.prod(np.maximum(high - low, 0))
    areas = [np.prod(np.subtract(box[2:], box[:2])) for box in (one, other)]
    return float(intersection / (areas[0] + areas[1] - intersection))


@given(st.floats(0.5, 60), st.floats(0.5, 60), st.floats(0.1, 0.9))
def test_radius_keeps_the_overlap_in_all_three_cases(
    h: float, w: float, min_overlap: float
) -> None:
    r = float(gaussian_radius(np.array(h), np.array(w), min_overlap))
    box = (0, 0, h, w)
    overlaps = [
        overlap(box, moved)
        for moved in ((r, r, h + r, w + r), (r, r, h - r, w - r), (-r, -r, h + r, w + r))
        if moved[2] > moved[0] and moved[3] > moved[1]
    ]
    assert min(overlaps) == pytest.approx(min_overlap, abs=1e-6)


def test_radius_of_an_empty_box() -> None:
    assert gaussian_radius(np.zeros(1), np.zeros(1), 0.5).tolist() == [0]
