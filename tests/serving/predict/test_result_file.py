import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.errors import PneumoError
from serving.predict.prediction import Prediction, rejected
from serving.predict.result_file import (
    RecordFormat,
    ResultFile,
    boxes_from_string,
    boxes_to_string,
    record_format,
)
from tests.serving.predict.predictions import CLASSES, PREDICTIONS, make_prediction

FORMS = ["csv", "json"]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> RecordFormat:
    return record_format(request.param, CLASSES)


def write(
    path: Path, form: RecordFormat, predictions: list[Prediction], resume: bool = False
) -> None:
    with ResultFile(path, form, resume) as file:
        for one in predictions:
            file.write(one)


@pytest.mark.parametrize("name", FORMS)
@given(predictions=st.lists(PREDICTIONS, max_size=8), cut=st.integers(0, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_resume_after_a_cut_at_any_byte(
    tmp_path: Path, name: str, predictions: list[Prediction], cut: int
) -> None:
    """Complete records are kept, an incomplete one is dropped."""
    path = tmp_path / f"predictions.{name}"
    path.unlink(missing_ok=True)
    form = record_format(name, CLASSES)
    write(path, form, predictions)
    whole = path.read_bytes()
    ends = [len(form.header())]
    for one in predictions:
        ends.append(ends[-1] + len(form.encode(one)))
    left = whole[: max(0, len(whole) - cut)]
    path.write_bytes(left)
    kept = max((i for i, end in enumerate(ends) if end <= len(left)), default=0)
    with ResultFile(path, form, resume=True) as file:
        assert list(file.predictions()) == predictions[:kept]
        assert file.done.total() == kept
        for one in predictions[kept:]:
            file.write(one)
    assert path.read_bytes() == whole


def test_columns_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    predictions = [make_prediction('a, "b".png', 0.25), rejected("b", "why", "EMPTY")]
    write(path, record_format("csv", CLASSES), predictions)
    assert path.read_bytes().splitlines() == [
        b"file,decision,predicted,score,p_NORMAL,p_PNEUMONIA,status,error",
        b'"a, ""b"".png",NEGATIVE,NORMAL,0.25,0.75,0.25,OK,',
        b"b,REJECTED,,,,,EMPTY,why",
    ]


def test_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(
        path, record_format("json", CLASSES), [make_prediction("a.png", 0.0), rejected("b", "why")]
    )
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["score"] == 0.0
    assert first["probabilities"] == {"NORMAL": 1.0, "PNEUMONIA": 0.0}
    assert second == {"file": "b", "decision": "REJECTED", "abstained": True, "error": "why"}


def test_a_file_is_resumed_or_left_alone(tmp_path: Path, form: RecordFormat) -> None:
    path = tmp_path / "predictions"
    write(
        path,
        form,
        [make_prediction("a", 0.5), make_prediction("b", 0.5), make_prediction("a", 0.5)],
    )
    before = path.read_bytes()
    with pytest.raises(PneumoError, match="--resume"):
        ResultFile(path, form, resume=False)
    with ResultFile(path, form, resume=True) as file:
        assert file.done == {"a": 2, "b": 1}
    assert path.read_bytes() == before
    for wrong in ("nowhere/predictions.csv", "."):
        with pytest.raises(PneumoError, match="cannot be written"):
            ResultFile(tmp_path / wrong, form, resume=True)


def test_another_models_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, record_format("csv", ["NORMAL", "BACTERIA", "VIRUS"]), [])
    with pytest.raises(PneumoError, match="does not have the columns"):
        ResultFile(path, record_format("csv", CLASSES), resume=True)


def test_damage_in_the_middle_is_not_cut_away(tmp_path: Path, form: RecordFormat) -> None:
    path = tmp_path / "predictions"
    write(path, form, [make_prediction("a", 0.5), make_prediction("b", 0.5)])
    first = len(form.header() + form.encode(make_prediction("a", 0.5)))
    content = path.read_bytes()
    path.write_bytes(content[:first] + b"not, a record\n" + content[first:])
    with pytest.raises(PneumoError, match=f"damaged from byte {first}"):
        ResultFile(path, form, resume=True)


def test_one_process_at_a_time(tmp_path: Path, form: RecordFormat) -> None:
    path = tmp_path / "predictions"
    with (
        ResultFile(path, form, resume=False),
        pytest.raises(PneumoError, match="another run"),
    ):
        ResultFile(path, form, resume=True)
    ResultFile(path, form, resume=True)


def test_predictions_by_their_place(tmp_path: Path, form: RecordFormat) -> None:
    path = tmp_path / "predictions"
    predictions = [
        make_prediction('a "line\nfeed", and so on', 0.25),
        rejected("b", "why"),
        make_prediction("c", 0.5),
    ]
    with ResultFile(path, form, resume=False) as file:
        for one in predictions:
            file.write(one)
        located = list(file.with_offsets())
        assert [one for _, one in located] == predictions
        assert [file.read_at(start) for start, _ in reversed(located)] == predictions[::-1]


BOXES = st.lists(
    st.tuples(*[st.integers(0, 4000).map(lambda e: e / 4)] * 4, st.integers(0, 1000)), max_size=4
)


@given(found=BOXES)
def test_boxes_as_a_string_of_the_challenge(found: list[tuple[float, ...]]) -> None:
    boxes = [[y, x, y + h, x + w] for y, x, h, w, _ in found]
    scores = [score / 1000 for *_, score in found]
    text = boxes_to_string(Prediction("a", boxes=boxes, box_scores=scores))
    again, back = boxes_from_string(text)
    assert again == [pytest.approx(box, abs=0.01) for box in boxes]
    assert back == pytest.approx(scores)
    with pytest.raises(ValueError):
        boxes_from_string(f"{text} 1 2 3 4")


def test_csv_of_a_model_that_locates(tmp_path: Path) -> None:
    path, form = tmp_path / "a.csv", record_format("csv", CLASSES, boxes=True)
    found = replace(make_prediction("a", 0.75), boxes=[[20.0, 10.0, 50.0, 110.5]], box_scores=[0.5])
    predictions = [
        found,
        replace(make_prediction("b", 0.25), boxes=[], box_scores=[]),
        rejected("c", "why"),
    ]
    write(path, form, predictions)
    lines = path.read_text().splitlines()
    assert lines[0].endswith(",status,error,boxes")
    # The challenge: confidence x-min y-min width height.
    assert lines[1].endswith(",0.5 10 20 100.5 30")
    with ResultFile(path, form, resume=True) as file:
        assert list(file.predictions()) == predictions
