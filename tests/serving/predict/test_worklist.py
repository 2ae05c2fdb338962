"""The worklist: three lists, in order, of any number of predictions."""

import csv
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.errors import PneumoError
from serving.predict.prediction import Prediction, rejected
from serving.predict.result_file import JsonLinesFormat, ResultFile, record_format
from serving.predict.worklist import LISTS, check_worklist, urgency, write_worklist
from tests.serving.predict.predictions import CLASSES, PREDICTIONS, make_prediction

NOTICE = "Research software, not a medical device."
GIVEN = [
    make_prediction("low", 0.01),
    rejected("broken", "the file is empty", "EMPTY"),
    make_prediction("unsure", 0.52, "REFER"),
    make_prediction("high", 0.99),
    make_prediction("less sure", 0.51, "REFER"),
    rejected("gone", "cannot be read"),
    Prediction("blank", decision="REFER", abstained=True, status="BLANK"),
    make_prediction("mid", 0.7),
    make_prediction("a mid of the same score", 0.7),
]
ORDER = [
    ("read_first", 1, "unsure"),
    ("read_first", 2, "less sure"),
    ("read_first", 3, "blank"),
    ("by_urgency", 1, "high"),
    ("by_urgency", 2, "mid"),
    ("by_urgency", 3, "a mid of the same score"),
    ("by_urgency", 4, "low"),
    ("rejected", 1, "broken"),
    ("rejected", 2, "gone"),
]


def listed(tmp_path: Path, predictions: list[Prediction], form: str, suffix: str) -> Path:
    kept, path = tmp_path / f"predictions.{form}", tmp_path / f"list{suffix}"
    for old in (kept, path):
        old.unlink(missing_ok=True)
    with ResultFile(kept, record_format(form, CLASSES), resume=False) as file:
        for one in predictions:
            file.write(one)
        write_worklist(file, path, NOTICE)
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    """Of either format: list, place, file and what else is said."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return list(csv.DictReader(file))
    made = json.loads(path.read_text())
    assert list(made) == ["notice", *LISTS]
    return [{"list": name, **row} for name in LISTS for row in made[name]]


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_order(tmp_path: Path, form: str, suffix: str) -> None:
    found = rows(listed(tmp_path, GIVEN, form, suffix))
    assert [(row["list"], int(row["place"]), row["file"]) for row in found] == ORDER
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        f"list{suffix}",
        f"predictions.{form}",
    ]


def test_rows(tmp_path: Path) -> None:
    found = rows(listed(tmp_path, GIVEN, "json", ".csv"))
    keys = ("list", "place", "file", "decision", "predicted", "score", "reason")
    assert [tuple(row[key] for key in keys) for row in (found[0], found[2], found[-1])] == [
        ("read_first", "1", "unsure", "REFER", "PNEUMONIA", "0.52", ""),
        ("read_first", "3", "blank", "REFER", "", "", "all pixels have one gray value"),
        ("rejected", "2", "gone", "REJECTED", "", "", "cannot be read"),
    ]
    boxed = Prediction("b", "X", "POSITIVE", 0.9, boxes=[[1.0, 2.0, 3.0, 4.0]], box_scores=[0.5])
    made = json.loads(listed(tmp_path, [boxed, *GIVEN], "json", ".json").read_text())
    assert made["notice"] == NOTICE
    assert made["by_urgency"][1] == {"place": 2, **boxed.to_dict()}
    assert made["rejected"][0]["error"] == "the file is empty"


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("suffix", [".csv", ".json"])
@given(predictions=st.lists(PREDICTIONS, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_prediction_is_listed_once_and_none_out_of_order(
    tmp_path: Path, form: str, suffix: str, predictions: list[Prediction]
) -> None:
    found = rows(listed(tmp_path, predictions, form, suffix))
    assert sorted(row["file"] for row in found) == sorted(one.file for one in predictions)
    keys = [
        (LISTS.index(row["list"]), -float(row.get("score") or 0), int(row["place"]))
        for row in found
    ]
    assert keys == sorted(keys)
    assert sorted(key[:2] for key in keys) == sorted(urgency(one)[:2] for one in predictions)


def test_a_list_that_is_there_is_replaced_whole(tmp_path: Path) -> None:
    path = listed(tmp_path, GIVEN, "json", ".csv")
    before = path.read_bytes()
    with ResultFile(tmp_path / "predictions.json", JsonLinesFormat(), resume=True) as file:
        file.write(make_prediction("new", 1.0))
        write_worklist(file, path, NOTICE)
    found = rows(path)
    assert len(found) == len(GIVEN) + 1
    assert found[3]["file"] == "new"
    assert path.read_bytes() != before


def test_memory_does_not_grow_with_the_answers(tmp_path: Path) -> None:
    """A key of three numbers for each; a prediction takes a kilobyte."""
    kept, path = tmp_path / "predictions.json", tmp_path / "list.json"
    peaks = []
    for count in (500, 4_000):
        rng = random.Random(count)
        kept.unlink(missing_ok=True)
        with ResultFile(kept, JsonLinesFormat(), resume=False) as file:
            for i in range(count):
                name = f"/some/folder/of/radiographs/{i:06}.dcm"
                file.write(make_prediction(name, rng.random(), rng.choice(["", "", "REFER"])))
            tracemalloc.start()
            write_worklist(file, path, NOTICE)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    grown = (peaks[1] - peaks[0]) / 3_500
    assert grown < 200
    assert len(rows(path)) == 4_000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("list.txt", "name it .csv or .json"),
        ("there.csv", "exists"),
        ("no/x.csv", "does not exist"),
    ],
)
def test_a_wrong_name_is_found_before_prediction(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there.csv").write_text("x")
    with pytest.raises(PneumoError, match=message) as caught:
        check_worklist(tmp_path / name, replace=False)
    assert "\n" not in str(caught.value)
    check_worklist(tmp_path / "there.csv", replace=True)
    check_worklist(tmp_path / "new.json", replace=False)
