import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.boxes.iou import box_iou, check_boxes, resize_boxes

CASES = {
    "same": ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
    "half": ((0, 0, 10, 10), (0, 0, 10, 5), 0.5),
    "a quarter of each": ((0, 0, 10, 10), (5, 5, 15, 15), 25 / 175),
    "inside": ((0, 0, 10, 10), (2, 2, 4, 4), 0.04),
    "edge to edge": ((0, 0, 10, 10), (0, 10, 10, 20), 0.0),
    "apart": ((0, 0, 1, 1), (5, 5, 6, 6), 0.0),
    "no area inside": ((0, 0, 10, 10), (5, 5, 5, 9), 0.0),
    "two without area": ((5, 5, 5, 5), (5, 5, 5, 5), 0.0),
}
side = st.floats(0, 1, width=32)
boxes = st.tuples(side, side, side, side).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)


@pytest.mark.parametrize(("a", "b", "expected"), CASES.values(), ids=CASES)
def test_by_hand(a, b, expected):
    assert box_iou(np.array([a]), np.array([b]))[0, 0] == pytest.approx(expected)


def test_pairs_of_many_images_at_once():
    a, b = np.random.default_rng(0).random((2, 3, 5, 4)).cumsum(axis=-1)
    b = b[:, :2]
    found = box_iou(a, b)
    assert found.shape == (3, 5, 2)
    assert found[2, 4, 1] == box_iou(a[2, 4:5], b[2, 1:2])[0, 0]


@given(boxes, boxes)
def test_symmetric_and_bounded(a, b):
    one, two = np.array([a]), np.array([b])
    found = box_iou(one, two)[0, 0]
    assert 0 <= found <= 1 + 1e-12
    assert found == pytest.approx(box_iou(two, one)[0, 0])


def test_resize_keeps_the_centre():
    assert resize_boxes(np.array([[0.0, 2, 10, 6]]), 0.5).tolist() == [[2.5, 3, 7.5, 5]]
    assert resize_boxes(np.zeros((0, 4)), 0.5).shape == (0, 4)


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ([[0, 0, np.nan, 1]], "contains NaN or infinity"),
        ([[0, 0, 1, 1], [0, 0, np.inf, 1]], "at index 1 contains NaN or infinity"),
        ([[5, 0, 1, 1]], "ends before it starts"),
        ([[1, 2, 3]], r"must be \[k, 4\]"),
        ([1, 2, 3, 4], r"must be \[k, 4\]"),
    ],
)
def test_a_bad_box_is_refused(bad, line):
    with pytest.raises(ValueError, match=line):
        check_boxes(np.array(bad))


def test_nothing_is_no_box():
    assert check_boxes(np.array([])).shape == (0, 4)
