import math

import numpy as np
import pytest

from core.metrics.bootstrap import Interval, clustered_bootstrap
from core.metrics.boxes import froc
from core.metrics.boxes.average_precision import average_precision
from core.metrics.boxes.challenge import OVERLAPS, challenge_score
from core.metrics.boxes.summary import box_statistics, froc_name
from tests.support.boxes import synthetic_boxes

NONE, WHOLE = np.zeros((0, 4)), np.array([[0.0, 0, 1, 1]])


def box_intervals(truth, boxes, scores, groups, threshold, resamples=100) -> dict[str, Interval]:
    statistics, shares = box_statistics(truth, boxes, scores, threshold)
    return clustered_bootstrap(statistics, groups, shares=shares, resamples=resamples, seed=0)


@pytest.mark.parametrize("threshold", [0.0, 0.4, 2.0])
def test_estimates_are_those_of_the_plain_functions(threshold):
    truth, boxes, scores = synthetic_boxes(30, 1)
    found = box_intervals(truth, boxes, scores, np.arange(30), threshold)
    keep = [row >= threshold for row in scores]
    shown = ([row[k] for row, k in zip(rows, keep, strict=True)] for rows in (boxes, scores))
    assert found["challenge"].estimate == pytest.approx(challenge_score(truth, *shown))
    assert found["box_ap"].estimate == pytest.approx(average_precision(truth, boxes, scores))
    areas = [average_precision(truth, boxes, scores, overlap) for overlap in OVERLAPS]
    assert found["box_map"].estimate == pytest.approx(np.mean(areas))
    false, sensitivity, _ = froc.froc_points(truth, boxes, scores)
    at_rates = [sensitivity[false <= rate].max(initial=0) for rate in froc.RATES]
    assert found["froc"].estimate == pytest.approx(np.mean(at_rates))
    for rate, value in zip(froc.RATES, at_rates, strict=True):
        assert found[froc_name(rate)].estimate == pytest.approx(value)


def test_a_weight_is_a_repeated_image():
    given_rows = synthetic_boxes(8, 3)
    weights = np.array([[2, 0, 1, 3, 1, 0, 0, 2.0]])
    repeated = np.repeat(np.arange(8), weights[0].astype(int))
    numbers, _ = box_statistics(*given_rows, 0.4)
    again, _ = box_statistics(*([rows[i] for i in repeated] for rows in given_rows), 0.4)
    one, two = numbers(weights), again(np.ones((1, len(repeated))))
    for name in one:
        assert one[name] == pytest.approx(two[name]), name


def test_images_of_one_patient_widen_the_interval():
    rows = [[row for row in values for _ in range(4)] for values in synthetic_boxes(60, 0)]
    alone = box_intervals(*rows, np.arange(240), 0.4, resamples=300)["challenge"]
    together = box_intervals(*rows, np.arange(240) // 4, 0.4, resamples=300)["challenge"]
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_what_all_patients_agree_on_has_exact_bounds():
    truth = [np.array([[0.1, 0.1, 0.5, 0.5]])] * 5
    found = box_intervals(truth, truth, [np.ones(1)] * 5, np.arange(5), 0.5)
    assert found["pointing"].exact
    assert found["pointing"].low == pytest.approx(0.025 ** (1 / 5))
    assert found["box_sensitivity"].low == pytest.approx(0.025 ** (1 / 5))
    assert found["challenge"].estimate == 1


NEED_TRUTH = dict.fromkeys(("box_ap", "box_map", "froc", "pointing", "box_sensitivity"), math.nan)
TRUTH = synthetic_boxes(10, 0)[0]


@pytest.mark.parametrize(
    ("truth", "boxes", "expected"),
    [
        ([NONE] * 2, [NONE, WHOLE], {**NEED_TRUTH, "challenge": 0, "false_boxes": 0.5}),
        ([NONE] * 2, [NONE] * 2, {"challenge": math.nan, "false_boxes": 0}),
        (TRUTH, [NONE] * 10, {**dict.fromkeys(NEED_TRUTH, 0), "challenge": 0, "false_boxes": 0}),
    ],
    ids=["no truth", "neither", "no prediction"],
)
def test_what_is_not_defined(truth, boxes, expected):
    found = box_intervals(
        truth, boxes, [np.ones(len(b)) for b in boxes], np.arange(len(truth)), 0.5
    )
    assert {name: found[name].estimate for name in expected} == pytest.approx(expected, nan_ok=True)
