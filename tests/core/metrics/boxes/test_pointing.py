import numpy as np
import pytest

from core.metrics.boxes.pointing import (
    best_box_centers,
    heat_map_peaks,
    pointing_hits,
)

A = np.array([[0.0, 0.0, 0.4, 0.4]])
TWO = np.array([[0.0, 0.0, 0.1, 0.1], [0.5, 0.5, 1.0, 1.0]])
NONE = np.zeros((0, 4))
NOWHERE = (np.nan, np.nan)


@pytest.mark.parametrize(
    ("truth", "point", "expected"),
    [
        (A, (0.2, 0.2), 1.0),
        (A, (0.4, 0.4), 1.0),
        (A, (0.41, 0.2), 0.0),
        (TWO, (0.7, 0.7), 1.0),
        (TWO, (0.3, 0.3), 0.0),
        (A, NOWHERE, 0.0),
        (NONE, (0.2, 0.2), np.nan),
        (NONE, NOWHERE, np.nan),
    ],
)
def test_by_hand(truth, point, expected):
    assert pointing_hits([truth], np.array([point])) == pytest.approx([expected], nan_ok=True)


def test_the_centre_of_the_surest_box():
    boxes = [TWO, NONE, A]
    found = best_box_centers(boxes, [np.array([0.1, 0.9]), np.zeros(0), np.array([0.5])])
    assert found[0].tolist() == [0.75, 0.75]
    assert np.isnan(found[1]).all()
    assert found[2].tolist() == [0.2, 0.2]
    assert np.isnan(best_box_centers([NONE], [np.zeros(0)])).all()


def test_the_hottest_cell():
    heat = np.zeros((3, 4, 5))
    heat[0, 1, 4] = 1
    heat[1, 0, 0] = -1  # a map that is cold at one place
    found = heat_map_peaks(heat)
    assert found[0] == pytest.approx([1.5 / 4, 4.5 / 5])
    assert found[1] == pytest.approx([0.5 / 4, 1.5 / 5])
    assert np.isnan(found[2]).all()  # the same everywhere
    assert heat_map_peaks(np.zeros((0, 4, 5))).shape == (0, 2)
    assert np.isnan(heat_map_peaks(np.ones((2, 1, 1)))).all()


def test_a_map_that_is_no_number_is_refused():
    heat = np.zeros((2, 2, 2))
    heat[1, 0, 1] = np.nan
    with pytest.raises(ValueError, match="heat map 1"):
        heat_map_peaks(heat)
