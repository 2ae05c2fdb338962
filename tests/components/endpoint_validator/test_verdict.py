import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.endpoint_validator.verdict import (
    ScorerPrediction,
    accepted_decisions,
    mismatch,
    spread_over_scores,
)
from serving.predict.prediction import Prediction, rejected

FACTS: dict[str, Any] = {"threshold": 0.5, "band": None}
BAND = {"threshold": 0.5, "band": [0.3, 0.5]}
SCORES = (0.1, 0.4, 0.9)
ROWS = [ScorerPrediction(str(i), f"{i}.jpeg", p, (1 - p, p)) for i, p in enumerate(SCORES)]
RIGHT = [
    Prediction(f"{p}", "", "POSITIVE" if p >= 0.5 else "NEGATIVE", p, {"A": 1 - p, "B": p})
    for p in SCORES
]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (RIGHT[1], ""),
        (replace(RIGHT[1], score=0.400009), ""),
        (replace(RIGHT[1], score=0.41), "1.jpeg: score 0.410000, the Scorer had 0.400000"),
        (replace(RIGHT[1], score=math.nan), "1.jpeg: score nan"),
        (replace(RIGHT[1], probabilities={"A": 0.6}), "1.jpeg: 1 probabilities, not 2"),
        (replace(RIGHT[1], probabilities={"A": math.inf, "B": 0.4}), "differ by inf"),
        (replace(RIGHT[1], decision="POSITIVE"), "1.jpeg: decision 'POSITIVE'"),
        (rejected("", "the file is truncated"), "1.jpeg was rejected: the file is truncated"),
    ],
)
def test_mismatch(second: Prediction, reason: str) -> None:
    found = mismatch(ROWS, [RIGHT[0], second, RIGHT[2]], FACTS)
    assert (found == "") is (reason == "")
    assert reason in found


def test_a_damaged_image_must_be_rejected_and_each_image_answered() -> None:
    wanted = [ROWS[0], None, ROWS[2]]
    assert mismatch(wanted, [RIGHT[0], rejected("", "damaged"), RIGHT[2]], FACTS) == ""
    assert "a damaged image was not rejected" in mismatch(wanted, RIGHT, FACTS)
    assert mismatch(ROWS, RIGHT[:2], FACTS) == "3 images were sent, 2 predictions returned"


@pytest.mark.parametrize(
    ("score", "facts", "right"),
    [
        (0.7, FACTS, {"POSITIVE"}),
        (0.5, FACTS, {"POSITIVE", "NEGATIVE"}),
        (0.4, BAND, {"REFER"}),
        (0.3, BAND, {"REFER", "NEGATIVE"}),
        (0.5, BAND, {"REFER", "POSITIVE"}),
    ],
)
def test_a_score_on_a_border_may_fall_to_either_side(
    score: float, facts: dict[str, Any], right: set[str]
) -> None:
    assert accepted_decisions(score, facts["threshold"], facts["band"]) == right


@given(st.lists(st.floats(0, 1), max_size=40), st.integers(1, 12))
def test_the_sample_spans_the_scores(scores: list[float], count: int) -> None:
    rows = [ScorerPrediction(f"{i:02d}", "", score, ()) for i, score in enumerate(scores)]
    chosen = spread_over_scores(rows, count)
    assert len({row.sha256 for row in chosen}) == len(chosen) == min(count, len(rows))
    if len(chosen) > 1:
        assert (chosen[0].score, chosen[-1].score) == (min(scores), max(scores))
