import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.reporting.card.facts import Facts
from components.reporting.card.page import card, write_card
from components.reporting.notices import DISCLAIMER
from schema.labels import BINARY
from tests.components.reporting.card.made import EVIL, REPORT, dataset
from tests.support.pages import read


def test_the_page_stands_alone_and_says_what_the_file_says(facts: Facts, tmp_path: Path) -> None:
    page_file, plain_file = write_card(facts, tmp_path / "new" / "folder")
    page, plain = read(page_file), json.loads(plain_file.read_text())
    assert page.fetched == []
    assert DISCLAIMER in page.text
    for item in plain["items"]:
        assert item["question"] in page.text
        assert item["value"] in page.text
    for part in (
        "77aa88", "c0ffee", "0.910", "0.850 to 0.970", "Trainer/model/8", "2026-01-31 14:05:00",
        "test, after temperature scaling", "Not blessed by the gate", "source = IM",
        "evaluated after all of the above, once for this model",
        "the digest is that of the ImageNet weights",
    ):  # fmt: skip
        assert part in page.text
    assert f"{plain['known']} of {len(plain['items'])} items" in page.text
    assert plain["known"] == sum(item["known"] for item in plain["items"])
    assert sorted(path.name for path in page_file.parent.iterdir()) == ["card.html", "card.json"]


def test_names_of_files_are_text_and_not_markup(facts: Facts, tmp_path: Path) -> None:
    page_file, _ = write_card(facts, tmp_path)
    assert EVIL not in page_file.read_text()
    assert EVIL in read(page_file).text


def test_test_is_the_last_thing_in_the_protocol(facts: Facts) -> None:
    rows = card(facts)["protocol"]
    assert [row["on"] for row in rows] == ["train", "val", "val", "val", "val", "test"]
    assert rows[-1]["what"] == "nothing"
    searched = replace(facts, config={**facts.config, "tuner": {"trials": 50}})
    assert "50 trials" in card(searched)["protocol"][0]["how"]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": None},
        {"leakage": None, "rejects": []},
        {"training": None},
        {"report": None},
        {"decision": None},
        {"lineage": [], "run": {}},
        {"dataset": dataset(splits={}, patients={})},
        {"report": {**REPORT, "metrics": {}, "classes_on_test": None, "slices": None}},
        {"report": {**REPORT, "shift": None, "members": None, "calibration": None}},
    ],
)
def test_a_part_that_is_missing_leaves_a_page(
    facts: Facts, change: dict[str, Any], tmp_path: Path
) -> None:
    page_file, plain_file = write_card(replace(facts, **change), tmp_path)
    assert "unknown" in read(page_file).text
    json.loads(plain_file.read_text())


def test_the_emptiest_card(tmp_path: Path) -> None:
    page_file, _ = write_card(Facts(BINARY), tmp_path)
    assert "No results are known" in read(page_file).text


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"dataset": dataset(synthetic=True)}, "SYNTHETIC DATA"),
        ({"training": {"trunk": "X", "image_size": 9, "weights": {"kind": "random"}}}, "RANDOM"),
    ],
)
def test_what_must_stand_first_does(
    facts: Facts, change: dict[str, Any], first: str, tmp_path: Path
) -> None:
    page_file, _ = write_card(replace(facts, **change), tmp_path)
    text = read(page_file).text
    assert 0 < text.index(first) < text.index(DISCLAIMER)


def test_numbers_that_are_no_numbers_become_null(facts: Facts, tmp_path: Path) -> None:
    report = {**REPORT, "metrics": {"auc": {"estimate": float("nan"), "low": None, "high": None}}}
    _, plain_file = write_card(replace(facts, report=report), tmp_path)
    assert json.loads(plain_file.read_text())["metrics"]["auc"]["estimate"] is None


@pytest.mark.parametrize("other", [0, 7])
def test_the_abnormal_without_pneumonia_have_a_column_where_there_are_any(
    facts: Facts, other: int, tmp_path: Path
) -> None:
    splits = {"train": {"normal": 5, "unknown": 6, "other": other}, "test": {"normal": 3}}
    given = replace(facts, dataset=dataset(splits=splits))
    page = read(write_card(given, tmp_path)[0])
    assert ("abnormal, no PNEUMONIA" in page.text) is bool(other)
