import dataclasses

import numpy as np
import pytest

from core.metrics.boxes.challenge import challenge_score
from core.metrics.boxes.iou import resize_boxes
from core.metrics.boxes.operating_point import (
    SHRINKS,
    BoxOperatingPoint,
    choose_box_operating_point,
    combined_scores,
)
from tests.support.boxes import synthetic_boxes

A = np.array([[0.2, 0.2, 0.6, 0.6]])
FAR = np.array([[0.8, 0.8, 0.9, 0.9]])
NONE = np.zeros((0, 4))


def scored(choice, truth, boxes, scores, image_score):
    """The metric with a choice applied by hand."""
    kept, kept_scores = [], []
    for one, heat, image in zip(boxes, scores, image_score, strict=True):
        value = combined_scores(choice.combine, np.asarray(heat), image)
        keep = value >= choice.threshold
        kept.append(resize_boxes(np.asarray(one).reshape(-1, 4)[keep], choice.shrink))
        kept_scores.append(value[keep])
    return challenge_score(truth, kept, kept_scores)


def many(n, seed):
    """Images half of which have an opacity; found boxes are near and too large."""
    truth, boxes, scores = synthetic_boxes(n, seed, blur=0.01, size=1.2)
    rng = np.random.default_rng([seed, 2])
    return truth, boxes, scores, np.where(np.arange(n) % 2, rng.beta(5, 2, n), rng.beta(2, 5, n))


@pytest.mark.parametrize("seed", range(2))
def test_the_score_is_the_metric_with_the_choice(seed):
    given_rows = many(60, seed)
    choice = choose_box_operating_point(*given_rows)
    assert choice.shrink == pytest.approx(1 / 1.2, abs=0.1)
    assert choice.score == pytest.approx(scored(choice, *given_rows))
    assert choice.note == ""


def test_no_grid_point_is_better_by_more_than_the_plateau():
    given_rows = many(40, 0)
    choice = choose_box_operating_point(*given_rows, plateau=0.002)
    for combine in ("heat", "product", "geometric"):
        for shrink in SHRINKS[::4]:
            for threshold in np.linspace(0, 1, 21):
                other = BoxOperatingPoint(float(threshold), shrink, combine, None)
                # Once for the threshold and once for the shrink factor.
                assert scored(other, *given_rows) <= choice.score + 0.004


def test_a_quiet_image_loses_its_boxes():
    # The same heat on ill and healthy images: only the image's probability separates them.
    truth, boxes = [A, NONE] * 10, [A, A] * 10
    choice = choose_box_operating_point(
        truth, boxes, [np.array([0.8])] * 20, np.array([0.9, 0.1] * 10)
    )
    assert choice.combine == "product"
    assert choice.score == pytest.approx(1)
    assert 0.08 < choice.threshold < 0.72


def test_shrink_is_the_middle_of_what_is_as_good():
    choice = choose_box_operating_point(
        [A], [A], [np.array([0.9])], np.array([0.9]), shrinks=(0.9, 0.95, 1, 1.05, 1.1)
    )
    assert (choice.shrink, choice.score) == (1, 1)  # overlap is above .75 with all of them


@pytest.mark.parametrize(
    ("given_rows", "score", "note"),
    [
        (([], [], [], np.zeros(0)), None, "no true box"),
        (([NONE], [NONE], [[]], np.zeros(1)), None, "no true box"),
        (([NONE], [A], [[0.9]], np.zeros(1)), None, "no true box"),
        (([A], [NONE], [[]], np.ones(1)), 0.0, "no predicted box hits"),
        (([A], [FAR], [[0.9]], np.ones(1)), 0.0, "no predicted box hits"),
    ],
    ids=["nothing", "no boxes", "no truth", "no prediction", "no hit"],
)
def test_where_nothing_can_be_chosen_it_says_so(given_rows, score, note):
    choice = choose_box_operating_point(*given_rows)
    assert dataclasses.astuple(choice)[:4] == (0.5, 1.0, "heat", score)
    assert note in choice.note


def test_tied_scores_come_and_go_together():
    # At .5 the hit and the alarm are kept or left together; no threshold lies between them.
    choice = choose_box_operating_point([A, NONE], [A, A], [[0.5], [0.5]], np.ones(2))
    assert choice.score == pytest.approx(0.5)
    assert choice.threshold <= 0.5


@pytest.mark.parametrize(
    ("given_rows", "line"),
    [
        (([A], [A], [[np.nan]], np.ones(1)), "image 0: invalid score nan"),
        (([A], [A], [[0.5]], np.array([np.nan])), "image_score contains"),
        (([A], [A * np.nan], [[0.5]], np.ones(1)), "contains NaN or infinity"),
    ],
)
def test_bad_input(given_rows, line):
    with pytest.raises(ValueError, match=line):
        choose_box_operating_point(*given_rows)


def test_bad_parameters():
    with pytest.raises(ValueError, match="at least one shrink"):
        choose_box_operating_point([A], [A], [[0.5]], np.ones(1), shrinks=())
    with pytest.raises(ValueError, match="unknown combine 'sum'"):
        combined_scores("sum", np.ones(1), np.ones(1))
