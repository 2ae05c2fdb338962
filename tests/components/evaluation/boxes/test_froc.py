import numpy as np
import pytest

from components.evaluation.boxes.froc import RATES, froc, froc_points
from tests.components.evaluation.boxes.made import FAR, FAR2, A, B, made, rows

# images, sensitivity at 1/8, 1/4, 1/2, 1, 2, 4, 8 by hand
CASES = {
    "all found": ([([A], [A], [0.9])], [1] * 7),
    "nothing found": ([([A], [], [])], [0] * 7),
    # One alarm in one image comes before the hit: only from 1 a picture on.
    "an alarm first": ([([A], [FAR, A], [0.9, 0.8])], [0, 0, 0, 1, 1, 1, 1]),
    "an alarm last": ([([A], [A, FAR], [0.9, 0.8])], [1] * 7),
    "two alarms between": (
        [([A, B], [A, FAR, FAR2, B], [0.9, 0.8, 0.7, 0.6])],
        [0.5, 0.5, 0.5, 0.5, 1, 1, 1],
    ),
    "a healthy image makes alarms rarer": (
        [([A], [FAR, A], [0.9, 0.8]), ([], [], [])],
        [0, 0, 1, 1, 1, 1, 1],
    ),
    "tied with an alarm": ([([A], [FAR, A], [0.9, 0.9])], [0, 0, 0, 1, 1, 1, 1]),
    "overlap of .45 is enough": ([([A], [(0, 0, 10, 4.5)], [0.9])], [1] * 7),
}


@pytest.mark.parametrize(("images", "expected"), CASES.values(), ids=CASES)
def test_by_hand(images, expected):
    found, mean = froc(*rows(images))
    assert found == pytest.approx(np.array(expected, float))
    assert mean == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("images", [[], [([], [], [])], [([], [A], [0.9])]])
def test_without_truth_there_is_none(images):
    assert froc(*rows(images)) is None


@pytest.mark.parametrize("seed", range(4))
def test_rises_with_the_rate_and_is_on_the_curve(seed):
    given_rows = made(40, seed)
    found, _ = froc(*given_rows)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    false, sensitivity, _ = froc_points(*given_rows)
    for rate, value in zip(RATES, found, strict=True):
        reached = sensitivity[false <= rate]
        assert value == (reached.max() if len(reached) else 0)


def test_no_curve_without_a_hit():
    assert [len(row) for row in froc_points(*rows([([A], [FAR], [0.9])]))] == [0, 0, 0]
