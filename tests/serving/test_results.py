import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.errors import PneumoError
from serving.answer import Prediction, rejected
from serving.results import Format, ResultFile, form_of, urgency

CLASSES = ["NORMAL", "PNEUMONIA"]
FORMS = ["csv", "json"]


def answer(name: str, score: float, decision: str = "") -> Prediction:
    decision = decision or ("POSITIVE" if score >= 0.5 else "NEGATIVE")
    return Prediction(
        name,
        CLASSES[score >= 0.5],
        decision,
        score,
        {"NORMAL": 1 - score, "PNEUMONIA": score},
        decision == "REFER",
        "OK",
    )


# Names as file systems allow them: no NUL, but quotes, commas, line feeds and broken UTF-8.
NAMES = st.text(
    st.one_of(
        st.sampled_from('",\n\r ;=äµ'),
        st.characters(min_codepoint=1, exclude_categories=["Cs"]),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    ),
    min_size=1,
    max_size=12,
)
ANSWERS = st.one_of(
    st.builds(
        answer,
        NAMES,
        st.floats(0, 1, width=32),
        st.sampled_from(["", "REFER"]),
    ),
    st.builds(
        rejected, NAMES, st.sampled_from(["the file is empty", 'a "b", c']), st.just("EMPTY")
    ),
)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Format:
    return form_of(request.param, CLASSES)


def write(path: Path, form: Format, answers: list[Prediction], resume: bool = False) -> None:
    with ResultFile(path, form, resume) as file:
        for one in answers:
            file.write(one)


@pytest.mark.parametrize("name", FORMS)
@given(answers=st.lists(ANSWERS, max_size=8), cut=st.integers(0, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_cut_anywhere_and_gone_on_with(
    tmp_path: Path, name: str, answers: list[Prediction], cut: int
) -> None:
    """Whatever a run that was stopped left: whole records stay, a torn one is dropped."""
    path = tmp_path / f"answers.{name}"
    path.unlink(missing_ok=True)
    form = form_of(name, CLASSES)
    write(path, form, answers)
    whole = path.read_bytes()
    ends = [len(form.header())]
    for one in answers:
        ends.append(ends[-1] + len(form.encode(one)))
    left = whole[: max(0, len(whole) - cut)]
    path.write_bytes(left)
    kept = max((i for i, end in enumerate(ends) if end <= len(left)), default=0)
    with ResultFile(path, form, resume=True) as file:
        assert list(file.answers()) == answers[:kept]
        assert file.done.total() == kept
        for one in answers[kept:]:
            file.write(one)
    assert path.read_bytes() == whole


def test_columns_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(
        path, form_of("csv", CLASSES), [answer('a, "b".png', 0.25), rejected("b", "why", "EMPTY")]
    )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "file": 'a, "b".png',
            "decision": "NEGATIVE",
            "predicted": "NORMAL",
            "score": "0.25",
            "p_NORMAL": "0.75",
            "p_PNEUMONIA": "0.25",
            "status": "OK",
            "error": "",
        },
        {
            "file": "b",
            "decision": "REJECTED",
            "predicted": "",
            "score": "",
            "p_NORMAL": "",
            "p_PNEUMONIA": "",
            "status": "EMPTY",
            "error": "why",
        },
    ]


def test_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, form_of("json", CLASSES), [answer("a.png", 0.0), rejected("b", "why")])
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["score"] == 0.0
    assert first["probabilities"] == {"NORMAL": 1.0, "PNEUMONIA": 0.0}
    assert second == {"file": "b", "decision": "REJECTED", "abstained": True, "error": "why"}


def test_an_answer_is_never_overwritten(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "answers"
    write(path, form, [answer("a", 0.5)])
    before = path.read_bytes()
    with pytest.raises(PneumoError, match="--resume"):
        ResultFile(path, form, resume=False)
    assert path.read_bytes() == before


def test_a_name_counts_as_often_as_it_stands(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "answers"
    write(path, form, [answer("a", 0.5), answer("b", 0.5), answer("a", 0.5)])
    with ResultFile(path, form, resume=True) as file:
        assert file.done == {"a": 2, "b": 1}


def test_another_models_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, form_of("csv", ["NORMAL", "BACTERIA", "VIRUS"]), [])
    with pytest.raises(PneumoError, match="other columns"):
        ResultFile(path, form_of("csv", CLASSES), resume=True)


def test_damage_in_the_middle_is_not_cut_away(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "answers"
    write(path, form, [answer("a", 0.5), answer("b", 0.5)])
    first = len(form.header() + form.encode(answer("a", 0.5)))
    content = path.read_bytes()
    path.write_bytes(content[:first] + b"not, a record\n" + content[first:])
    with pytest.raises(PneumoError, match=f"damaged from byte {first}"):
        ResultFile(path, form, resume=True)


def test_one_process_at_a_time(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "answers"
    with (
        ResultFile(path, form, resume=False),
        pytest.raises(PneumoError, match="another run"),
    ):
        ResultFile(path, form, resume=True)
    ResultFile(path, form, resume=True)


@pytest.mark.parametrize("path", ["nowhere/answers.csv", "."])
def test_an_unwritable_path_is_one_line(tmp_path: Path, form: Format, path: str) -> None:
    with pytest.raises(PneumoError, match="cannot be written"):
        ResultFile(tmp_path / path, form, resume=True)


def test_the_worklist(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "answers"
    answers = [
        answer("low", 0.01),
        rejected("y-broken", "the file is empty", "EMPTY"),
        answer("unsure", 0.52, "REFER"),
        answer("high", 0.99),
        answer("less sure", 0.51, "REFER"),
        rejected("x-gone", "cannot be read"),
        answer("mid", 0.7),
        answer("same as mid", 0.7),
    ]
    with ResultFile(path, form, resume=False) as file:
        for one in answers:
            file.write(one)
        file.sort(urgency)
    order = ["unsure", "less sure", "high", "mid", "same as mid", "low", "x-gone", "y-broken"]
    with ResultFile(path, form, resume=True) as file:
        assert [one.file for one in file.answers()] == order
        assert sorted(one.file for one in file.answers()) == sorted(one.file for one in answers)
    assert [one.name for one in tmp_path.iterdir()] == ["answers"]


def test_sorting_nothing(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "answers"
    with ResultFile(path, form, resume=False) as file:
        file.sort(urgency)
    assert path.read_bytes() == form.header()
