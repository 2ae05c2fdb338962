import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics.boxes import froc
from core.metrics.boxes.average_precision import average_precision, precision_recall_points
from core.metrics.boxes.ranking import rank_boxes
from tests.support.boxes import FAR, FAR2, A, B, box_rows, synthetic_boxes

# images as (truth, boxes, scores); area by hand
CASES = {
    "all found": ([([A], [A], [0.9]), ([B], [B], [0.8])], 1.0),
    "half found": ([([A], [A], [0.9]), ([B], [], [])], 0.5),
    "an alarm first": ([([A], [FAR, A], [0.9, 0.8])], 0.5),
    "an alarm last does no harm": ([([A], [A, FAR], [0.9, 0.8])], 1.0),
    "an alarm on a healthy image, first": ([([A], [A], [0.5]), ([], [FAR], [0.9])], 0.5),
    "hit, alarm, hit": ([([A, B], [A, FAR, B], [0.9, 0.8, 0.7])], 0.5 * 1 + 0.5 * 2 / 3),
    # precision 1/2 at recall 1/2, then 2/3: the envelope is 2/3 for both.
    "alarm, hit, hit": ([([A, B], [FAR, A, B], [0.9, 0.8, 0.7])], 2 / 3),
    "a second box on the same is an alarm": (
        [([A, B], [A, A, B], [0.9, 0.8, 0.7])],
        0.5 * 1 + 0.5 * 2 / 3,
    ),
    "a tie counts together": ([([A], [A], [0.5]), ([], [FAR], [0.5])], 0.5),
    "nothing predicted": ([([A], [], [])], 0.0),
    "nothing hit": ([([A], [FAR, FAR2], [0.9, 0.8])], 0.0),
    "overlap of .5 is none": ([([A], [(0, 0, 10, 5)], [0.9])], 0.0),
    "no truth": ([([], [A], [0.9])], None),
    "no images": ([], None),
}


@pytest.mark.parametrize(("images", "expected"), CASES.values(), ids=CASES)
def test_by_hand(images, expected):
    found = average_precision(*box_rows(images))
    assert found == (expected if expected is None else pytest.approx(expected))


def test_points_of_the_curve():
    recall, precision, score = precision_recall_points(*box_rows(CASES["hit, alarm, hit"][0]))
    assert recall.tolist() == [0.5, 1]
    assert precision == pytest.approx([1, 2 / 3])
    assert score.tolist() == [0.9, 0.7]
    assert [len(row) for row in precision_recall_points(*box_rows(CASES["no truth"][0]))] == [
        0,
        0,
        0,
    ]


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_an_alarm_never_raises_it(seed, score):
    truth, boxes, scores = synthetic_boxes(6, seed)
    before = average_precision(truth, boxes, scores)
    boxes[0] = np.concatenate([boxes[0], [[0.98, 0.98, 0.99, 0.99]]])
    scores[0] = np.append(scores[0], score)
    assert average_precision(truth, boxes, scores) <= before + 1e-12


def at_rates(images):
    weights = np.ones((1, len(images)))
    ranked = rank_boxes(*box_rows(images), froc.OVERLAP)
    return froc.sensitivities(*ranked(weights), weights.sum(axis=1))[0]


# images, sensitivity at 1/8, 1/4, 1/2, 1, 2, 4, 8 by hand
FROC = {
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


@pytest.mark.parametrize(("images", "expected"), FROC.values(), ids=FROC)
def test_froc_by_hand(images, expected):
    assert at_rates(images) == pytest.approx(np.array(expected, float))


@pytest.mark.parametrize("images", [[], [([], [], [])], [([], [A], [0.9])]])
def test_froc_without_truth_is_undefined(images):
    assert np.isnan(at_rates(images)).all()


def test_no_froc_curve_without_a_hit():
    assert [len(row) for row in froc.froc_points(*box_rows([([A], [FAR], [0.9])]))] == [0, 0, 0]
