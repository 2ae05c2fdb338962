import math

import numpy as np
import pytest

from components.evaluation.boxes.challenge import challenge_scores
from components.evaluation.boxes.paired import bootstrap_difference
from tests.components.evaluation.boxes.made import made

NAN = math.nan


def of(n=200, seed=0, **how):
    truth, boxes, scores = made(n, seed, **how)
    return challenge_scores(truth, boxes, scores)


def test_a_worse_model_is_found_and_a_better_one_is_not():
    good, bad = of(blur=0.01), of(blur=0.08, luck=1)
    worse = bootstrap_difference(bad, good, np.arange(200))
    better = bootstrap_difference(good, bad, np.arange(200))
    assert worse.difference == pytest.approx(-better.difference)
    assert worse.p_worse < 0.01
    assert better.p_worse > 0.99


def test_a_model_as_good_is_not_found_worse():
    one, two = of(luck=1), of(luck=2)
    assert bootstrap_difference(one, two, np.arange(200)).p_worse > 0.01


def test_under_no_difference_p_is_spread_evenly():
    rng = np.random.default_rng(0)
    found = [
        bootstrap_difference(*rng.random((2, 60)), np.arange(60), resamples=200, seed=i).p_worse
        for i in range(200)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.12)


def test_the_same_model_is_never_worse():
    one = of()
    found = bootstrap_difference(one, one, np.arange(200))
    assert (found.difference, found.p_worse, found.se) == (0, 1, 0)


def test_copies_of_images_add_no_evidence():
    good, bad = of(40, blur=0.03), of(40, blur=0.05, luck=1)
    alone = bootstrap_difference(bad, good, np.arange(40))
    copied = bootstrap_difference(bad.repeat(5), good.repeat(5), np.arange(40).repeat(5))
    assert copied.se == pytest.approx(alone.se, rel=0.1)


def test_an_image_may_count_for_one_model_only():
    # The first model raises an alarm on the healthy third image; the second leaves it in peace.
    found = bootstrap_difference(
        np.array([1, 0.5, 0]), np.array([1, 0.5, NAN]), np.array(["a", "b", "c"])
    )
    assert (found.mean_a, found.mean_b) == (0.5, 0.75)
    assert (found.n, found.clusters) == (3, 3)


@pytest.mark.parametrize(
    ("a", "b", "groups"),
    [
        ([], [], []),
        ([NAN], [NAN], ["a"]),
        ([1.0], [0.5], ["a"]),
        ([1.0, 0.5], [0.5, 0.5], ["a", "a"]),
        ([1.0, 1.0], [NAN, NAN], ["a", "b"]),
    ],
)
def test_where_there_is_no_test_it_says_so(a, b, groups):
    assert math.isnan(bootstrap_difference(np.array(a), np.array(b), np.array(groups)).p_worse)


def test_rows_of_other_length_are_refused():
    with pytest.raises(ValueError, match="must be equal rows"):
        bootstrap_difference(np.ones(2), np.ones(3), np.arange(2))
