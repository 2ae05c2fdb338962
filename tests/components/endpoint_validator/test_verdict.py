import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.endpoint_validator.verdict import (
    DAMAGED,
    Check,
    Columns,
    Expected,
    NoAnswer,
    Verdict,
    compare,
    question,
    right_decisions,
    spread_over_scores,
)

FACTS: dict[str, Any] = {"threshold": 0.5, "band": None}
BAND = {"threshold": 0.5, "band": [0.3, 0.5]}
ROWS = [Expected(str(i), f"{i}.jpeg", p, (1 - p, p)) for i, p in enumerate((0.1, 0.4, 0.9))]


def said(**changes: Any) -> dict[str, Any]:
    """The right answer to ROWS, with changes."""
    return {
        "probabilities": [list(row.probabilities) for row in ROWS],
        "score": [row.score for row in ROWS],
        "decision": ["NEGATIVE", "NEGATIVE", "POSITIVE"],
        "status": ["OK"] * 3,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "3 images, largest difference 0"),
        ({"score": [0.1, 0.400009, 0.9]}, "3 images"),
        ({"score": [0.1, 0.41, 0.9]}, "1.jpeg: score 0.410000, the Scorer had 0.400000"),
        ({"score": [0.1, math.nan, 0.9]}, "1.jpeg"),
        ({"score": [0.1, 0.4]}, "3 images were sent"),
        ({"probabilities": [[0.9, 0.1], [0.6, 0.4], [1.0]]}, "2.jpeg"),
        ({"probabilities": [[0.9, 0.1], [0.6, 0.4], [math.inf, 0.9]]}, "2.jpeg"),
        ({"status": ["OK", "TRUNCATED: 3 bytes", "OK"]}, "1.jpeg was rejected as TRUNCATED"),
        ({"decision": ["NEGATIVE", "POSITIVE", "POSITIVE"]}, "1.jpeg: decision 'POSITIVE'"),
        ({"decision": ["", "", ""]}, "0.jpeg: decision ''"),
    ],
)
def test_compare(changes: dict[str, Any], words: str) -> None:
    check = compare("door", ROWS, said(**changes), FACTS)
    assert words in check.detail
    assert check.ok is ("largest difference" in words or words == "3 images")


def test_compare_without_the_columns() -> None:
    check = compare("door", ROWS, {"outputs": [1]}, FACTS)
    assert not check.ok
    assert "decision, probabilities, score" in check.detail


def test_a_model_without_status_is_compared_all_the_same() -> None:
    answer = said()
    del answer["status"]
    assert compare("door", ROWS, answer, FACTS).ok


@pytest.mark.parametrize(
    ("score", "facts", "right"),
    [
        (0.7, FACTS, {"POSITIVE"}),
        (0.1, FACTS, {"NEGATIVE"}),
        (0.5, FACTS, {"POSITIVE", "NEGATIVE"}),
        (0.4, BAND, {"REFER"}),
        (0.3, BAND, {"REFER", "NEGATIVE"}),
        (0.5, BAND, {"REFER", "POSITIVE"}),
    ],
)
def test_a_score_on_a_border_may_fall_to_either_side(
    score: float, facts: dict[str, Any], right: set[str]
) -> None:
    assert right_decisions(score, facts["threshold"], facts["band"], 1e-5) == right


@given(st.lists(st.floats(0, 1), max_size=40), st.integers(1, 12))
def test_the_sample_spans_the_scores(scores: list[float], most: int) -> None:
    rows = [Expected(f"{i:02d}", "", score, ()) for i, score in enumerate(scores)]
    chosen = spread_over_scores(rows, most)
    assert len({row.sha256 for row in chosen}) == len(chosen) == min(most, len(rows))
    if len(chosen) > 1:
        assert chosen[0].score == min(scores)
        assert chosen[-1].score == max(scores)


def server(answer: Any) -> Any:
    """A door that knows ROWS by their bytes and gives a damaged image the answer of `answer`."""

    def ask(images: Any) -> Columns:
        whole = said()
        rows = [
            answer() if image == DAMAGED else {key: values[int(image)] for key, values in
                                               whole.items()}
            for image in images
        ]  # fmt: skip
        return {key: [row[key] for row in rows] for key in whole}

    return ask


REJECTED = {"probabilities": [-1, -1], "score": -1, "decision": "REJECTED", "status": "DAMAGED"}


def test_a_door_that_answers_well_passes_three_checks() -> None:
    checks = question("REST", server(lambda: REJECTED), ROWS, [b"0", b"1", b"2"], FACTS)
    assert [check.name for check in checks] == [
        "REST batch", "REST one image", "REST beside a damaged image",
    ]  # fmt: skip
    assert Verdict("endpoint", checks, []).blessed


def test_a_door_that_takes_anything_for_a_picture_fails() -> None:
    taken = {**REJECTED, "status": "OK"}
    checks = question("REST", server(lambda: taken), ROWS, [b"0", b"1", b"2"], FACTS)
    assert [check.ok for check in checks] == [True, True, False]
    assert "not rejected" in checks[-1].detail


def test_a_door_that_falls_over_a_damaged_image_fails() -> None:
    def over() -> dict[str, Any]:
        raise NoAnswer("HTTP 500: decoder")

    checks = question("REST", server(over), ROWS, [b"0", b"1", b"2"], FACTS)
    assert [check.ok for check in checks] == [True, True, False]
    assert checks[-1].detail == "HTTP 500: decoder"


def test_a_closed_door_is_asked_once() -> None:
    def closed(images: Any) -> Columns:
        raise NoAnswer("UNAVAILABLE")

    assert question("gRPC", closed, ROWS, [b"0"], FACTS) == [
        Check("gRPC batch", False, "UNAVAILABLE")
    ]


def test_the_verdict() -> None:
    assert not Verdict("endpoint", [], []).blessed  # nothing was asked
    verdict = Verdict("endpoint", [Check("a", True, "fine"), Check("b", False, "bad")], ["x"])
    assert not verdict.blessed
    assert verdict.to_dict()["reasons"] == ["b: bad"]
