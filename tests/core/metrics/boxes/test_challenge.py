import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics.boxes.challenge import OVERLAPS, challenge_score, challenge_scores
from core.metrics.boxes.matching import match_boxes, pad_boxes

A, B, FAR = (0, 0, 10, 10), (0, 0, 10, 6), (50, 50, 60, 60)
EIGHT = (0, 0, 10, 8)  # overlaps A by .8 and B by .75

# truth, boxes, scores, the image's score by hand
CASES = {
    "the very box": ([A], [A], [0.9], 1.0),
    "overlap .5 is none at .5": ([A], [(0, 0, 10, 5)], [0.9], 2 / 8),
    "overlap .6 is none at .6": ([A], [B], [0.9], 4 / 8),
    "overlap .8": ([A], [EIGHT], [0.9], 1.0),
    "overlap .75 is none at .75": ([(0, 0, 10, 10)], [(0, 0, 7.5, 10)], [0.9], 7 / 8),
    "overlap .4 is none at all": ([A], [(0, 0, 4, 10)], [0.9], 0.0),
    "elsewhere": ([A], [FAR], [0.9], 0.0),
    "missed": ([A], [], [], 0.0),
    "one of two missed": ([A, FAR], [A], [0.9], 1 / 2),
    "one too many": ([A], [A, FAR], [0.9, 0.8], 1 / 2),
    "one too many, and the best": ([A], [FAR, A], [0.9, 0.8], 1 / 2),
    "two and one too many": ([A, FAR], [A, FAR, (20, 20, 30, 30)], [0.9, 0.8, 0.7], 2 / 3),
    "the same box twice": ([A], [A, A], [0.9, 0.8], 1 / 2),
    "the same box twice, tied": ([A], [A, A], [0.9, 0.9], 1 / 2),
    "two true boxes in one place": ([A, A], [A, A], [0.9, 0.8], 1.0),
    "a prediction without area": ([A], [(5, 5, 5, 5)], [0.9], 0.0),
    "a true box without area": ([(5, 5, 5, 5)], [(5, 5, 5, 5)], [0.9], 0.0),
    "a good and a flat one": ([A], [A, (5, 5, 5, 9)], [0.9, 0.8], 1 / 2),
    # EIGHT takes A (.8); the whole then has B alone, which it overlaps by .6.
    "the sure one chooses first": ([A, B], [EIGHT, A], [0.9, 0.8], (4 + 4 / 3) / 8),
    # A takes A (1.0); EIGHT has B, by .75.
    "the other order": ([A, B], [A, EIGHT], [0.9, 0.8], (7 + 1 / 3) / 8),
    "the order is by score, not by place": ([A, B], [EIGHT, A], [0.8, 0.9], (7 + 1 / 3) / 8),
    "a tie goes in the order given": ([A, B], [EIGHT, A], [0.9, 0.9], (4 + 4 / 3) / 8),
    "no opacity, but a box": ([], [A], [0.1], 0.0),
    "no opacity, but many": ([], [A, B, FAR], [0.1, 0.2, 0.3], 0.0),
}


def rows(*images):
    """Images as (truth, boxes, scores) -> three lists."""
    truth, boxes, scores = zip(*images, strict=True) if images else ((), (), ())
    return (
        [np.array(t, float).reshape(-1, 4) for t in truth],
        [np.array(b, float).reshape(-1, 4) for b in boxes],
        [np.array(s, float) for s in scores],
    )


def test_by_hand():
    """All images at once, each compared with its case."""
    found = challenge_scores(*rows(*[case[:3] for case in CASES.values()]))
    for name, score, (*_, expected) in zip(CASES, found, CASES.values(), strict=True):
        assert score == pytest.approx(expected), name


def test_an_image_with_neither_is_left_out():
    images = [([A], [A], [0.9]), ([], [], []), ([], [A], [0.9]), ([A], [], [])]
    assert np.isnan(challenge_scores(*rows(*images))).tolist() == [False, True, False, False]
    assert challenge_score(*rows(*images)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("images", [[], [([], [], [])], [([], [], [])] * 3])
def test_nothing_to_count_is_no_number(images):
    assert challenge_score(*rows(*images)) is None


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (([A], [(0, 0, np.nan, 1)], [0.9]), "image 1: box .* contains NaN or infinity"),
        (([(0, 0, np.nan, 1)], [A], [0.9]), "image 1: true box .* contains NaN or infinity"),
        (([A], [A], [np.nan]), "image 1: invalid score nan"),
        (([A], [A], [0.9, 0.8]), "scores for 1 boxes"),
        (([A], [(5, 5, 1, 9)], [0.9]), "ends before it starts"),
    ],
)
def test_what_is_no_number_is_refused(image, line):
    with pytest.raises(ValueError, match=line):
        challenge_scores(*rows(([A], [A], [0.9]), image))


def slow(truth, boxes, scores):
    """The definition word by word, for one image."""

    def overlap(a, b):
        height = max(0, min(a[2], b[2]) - max(a[0], b[0]))
        width = max(0, min(a[3], b[3]) - max(a[1], b[1]))
        both = height * width
        either = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - both
        return both / either if either else 0

    if not len(truth) and not len(boxes):
        return np.nan
    total = 0.0
    for asked in OVERLAPS:
        left, tp = list(range(len(truth))), 0
        for m in sorted(range(len(boxes)), key=lambda m: -scores[m]):
            able = [k for k in left if overlap(boxes[m], truth[k]) > asked + 1e-9]
            if able:
                left.remove(max(able, key=lambda k: overlap(boxes[m], truth[k])))
                tp += 1
        total += tp / (len(boxes) + len(truth) - tp)
    return total / len(OVERLAPS)


@st.composite
def images(draw, least=0):
    """An image: boxes on a coarse grid, so that they overlap, tie and repeat."""
    corner = st.integers(0, 4)

    def some(most, least=0):
        made = st.tuples(corner, corner, st.integers(0, 4), st.integers(0, 4)).map(
            lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
        )
        return draw(st.lists(made, min_size=least, max_size=most))

    truth, boxes = some(3, least), some(5)
    order = draw(st.permutations(range(len(boxes))))
    return truth, boxes, [0.1 + 0.1 * place for place in order]


@settings(max_examples=40)
@given(st.lists(images(), max_size=5))
def test_as_the_definition_word_by_word(many):
    given_rows = rows(*many)
    expected = [slow(*(values[i] for values in given_rows)) for i in range(len(many))]
    assert challenge_scores(*given_rows) == pytest.approx(expected, nan_ok=True)


@given(images())
def test_better_boxes_hit_the_same_without_the_others(image):
    truth, boxes, scores = rows(image)
    true, every = pad_boxes(truth), pad_boxes(boxes, scores)
    hits = match_boxes(true, every, OVERLAPS)
    best = np.argsort(-scores[0], kind="stable")
    for j in range(len(best)):
        some = pad_boxes([boxes[0][best[:j]]], [scores[0][best[:j]]])
        assert (match_boxes(true, some, OVERLAPS) == hits[:, :, :j]).all()
