import json
from pathlib import Path

import pytest

from core.reporting.compare.page import thumbnails, write_comparison
from core.reporting.compare.runs import read_runs
from core.reporting.notices import DISCLAIMER
from schema.errors import PneumoError
from schema.labels import BACTERIA_VIRUS, THREE_CLASS
from tests.support.finished_runs import FinishedRuns
from tests.support.pages import check_standalone, read
from tests.support.stress_test import synthetic_stress_test


@pytest.fixture
def work(add_run: FinishedRuns) -> Path:
    add_run("alpha", seed=1, skill=1.0)
    add_run("beta", THREE_CLASS, seed=2, skill=1.0, cached=("Embedder", "Trainer"))
    work = add_run("gamma", BACTERIA_VIRUS, seed=3, skill=1.0)
    folder = work / "compare" / "broken"
    folder.mkdir()
    error = "Trainer failed: <b>no weights</b>   log: /w/run.log"
    (folder / "process.json").write_text(json.dumps({"error": error}))
    return work


def test_page_is_standalone_and_agrees_with_the_json(work: Path) -> None:
    runs, failed = read_runs(work)
    page_file, facts_file = write_comparison(runs, failed, work, 100)
    page, facts = check_standalone(page_file), json.loads(facts_file.read_text())
    for part in (
        DISCLAIMER,
        "evaluates the test split 3 times",
        "Trainer failed: <b>no weights</b>",
        "not measured",
        "(cached)",
        "2 min 4 s",
    ):
        assert part in page.text, part
    assert "run.log" not in page.text
    for question in facts["questions"]:
        for row in question["leaderboard"]:
            assert f"{row['val_auc']:.3f}" in page.text
            assert f"{row['metrics']['auc']['low']:.3f} to" in page.text
        for row in question["disputed"]:
            assert row["filename"].split("/")[-1] in page.text
    assert [one["name"] for one in facts["failed"]] == ["broken"]
    assert {row["name"] for row in facts["costs"]} == {"alpha", "beta", "gamma"}
    disputes = sum(len(q["disputed"]) for q in facts["questions"])
    jpegs = [link for link in page.fetched if link.startswith("data:image/jpeg")]
    assert disputes and len(jpegs) == disputes
    alone, _ = write_comparison(runs[:1], [], work, 100)
    assert "Comparison of 1 configuration" in read(alone).text


def test_stress_tests_have_a_table(add_run: FinishedRuns) -> None:
    results = synthetic_stress_test(9.0)
    undefined = results | {"largest": dict.fromkeys(("mild", "moderate", "severe"))}
    add_run("first", seed=1, stress_test=results)
    add_run("second", seed=2, stress_test=undefined)
    runs, failed = read_runs(add_run("third", seed=3))
    page_file, facts_file = write_comparison(runs, failed, add_run.work, 100)
    first, second = json.loads(facts_file.read_text())["stress_tests"]
    assert (first["name"], second["name"]) == ("first", "second")
    assert first["moderate"] == results["largest"]["moderate"]
    text = check_standalone(page_file).text
    assert f"{first['moderate']['drop']['estimate']:.3f} (" in text
    assert text.count("not defined") >= 3


def test_thumbnails_need_the_records(work: Path) -> None:
    runs, failed = read_runs(work)
    records = runs[0].records
    assert set(thumbnails(records, {"test3", "test5", "none"})) == {"test3", "test5"}
    for file in records.glob("*.tfrecord"):
        file.unlink()
    page_file, _ = write_comparison(runs, failed, work, 100)
    assert "data:image/jpeg" not in page_file.read_text()


def test_missing_files_are_named(work: Path) -> None:
    for name in ("predictions.parquet", "val_predictions.parquet"):
        file = next((work / "artifacts").rglob(name))
        file.rename(file.with_suffix(".gone"))
        with pytest.raises(PneumoError, match=f"{name} is missing: run the configuration again"):
            read_runs(work)
        file.with_suffix(".gone").rename(file)


def test_different_test_images_are_rejected(add_run: FinishedRuns) -> None:
    add_run("one")
    work = add_run("two", prefix="other")
    with pytest.raises(PneumoError, match="one and two have different test images"):
        read_runs(work)


def test_unfinished_configurations_are_named(work: Path, tmp_path: Path) -> None:
    runs, failed = read_runs(work, ["gamma", "delta"])
    assert [run.name for run in runs] == ["gamma"]
    assert failed == [{"name": "delta", "error": "it was not run in this work folder"}]
    with pytest.raises(PneumoError, match="no configuration has finished"):
        read_runs(tmp_path / "empty")
    with pytest.raises(PneumoError, match="xception: it was not run in this work folder"):
        read_runs(tmp_path / "empty", ["xception"])
