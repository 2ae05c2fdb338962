"""Ranking by shifted validation."""

import json
import math
from pathlib import Path

import pytest

from core.reporting.compare.page import write_comparison
from core.reporting.compare.results import comparison_results
from core.reporting.compare.runs import EvaluatedRun, read_runs
from core.reporting.compare.validation import validation_results
from schema.errors import PneumoError
from schema.labels import BACTERIA_VIRUS, THREE_CLASS
from tests.support.finished_runs import FinishedRuns
from tests.support.pages import check_standalone


def test_rows_are_ranked_by_shifted_validation(add_run: FinishedRuns) -> None:
    # The order on ordinary validation is the reverse.
    add_run("weak", seed=1, val_skill=3.0, shifted_skill=0.3)
    add_run("strong", seed=1, val_skill=0.5, shifted_skill=2.0)
    add_run("three", THREE_CLASS, seed=2, val_skill=2.0, shifted_skill=1.0)
    work = add_run("without", seed=3, val_skill=4.0)
    (group,) = validation_results(read_runs(work)[0], 100, 0)
    rows = group["leaderboard"]
    assert [row["name"] for row in rows] == ["strong", "three", "weak", "without"]
    assert group["title"] == "PNEUMONIA against NORMAL"
    assert group["folds"] == ["NORMAL of IM", "NORMAL of NORMAL2-IM"]
    assert rows[0]["against_best"] is None
    weak = rows[2]["against_best"]
    assert weak["best"] == "strong"
    assert weak["difference"] == pytest.approx(rows[2]["shifted_auc"] - rows[0]["shifted_auc"])
    assert weak["low"] < weak["difference"] < weak["high"] < 0
    assert weak["p"] <= weak["p_holm"] < 0.01
    assert rows[3]["shifted"] is rows[3]["against_best"] is None
    assert math.isnan(rows[3]["shifted_auc"])


def test_other_problems_are_ranked_apart(add_run: FinishedRuns) -> None:
    add_run("one", shifted_skill=1.0)
    work = add_run("two", BACTERIA_VIRUS, shifted_skill=1.0)
    groups = validation_results(read_runs(work)[0], 100, 0)
    assert [group["title"] for group in groups] == [
        "PNEUMONIA against NORMAL",
        "BACTERIA against VIRUS",
    ]


def test_test_tables_follow_shifted_validation_if_all_have_it(add_run: FinishedRuns) -> None:
    add_run("weak", seed=1, val_skill=3.0, shifted_skill=0.3)
    work = add_run("strong", seed=1, val_skill=0.5, shifted_skill=2.0)

    def order(work: Path) -> tuple[str, list[str]]:
        runs, failed = read_runs(work)
        (question,) = comparison_results(runs, failed, work / "none", 100)["questions"]
        return question["ranked_by"], [row["name"] for row in question["leaderboard"]]

    assert order(work) == ("shifted_auc", ["strong", "weak"])
    assert order(add_run("without", seed=5, val_skill=1.5)) == (
        "val_auc",
        ["weak", "without", "strong"],
    )


@pytest.mark.parametrize("shifted_skill", [None, 1.0])
def test_page_without_test_predictions(shifted_skill: float | None, add_run: FinishedRuns) -> None:
    add_run("a", seed=1, shifted_skill=shifted_skill, validation_only=True)
    work = add_run("b", THREE_CLASS, seed=2, shifted_skill=shifted_skill, validation_only=True)
    runs, failed = read_runs(work)
    page_file, facts_file = write_comparison(runs, failed, work, 100)
    page, facts = check_standalone(page_file), json.loads(facts_file.read_text())
    assert "The test split was not evaluated" in page.text
    assert "Comparison of 2 configurations" in page.text
    assert (facts["looks"], facts["images"], facts["questions"], facts["classes"]) == (0, 0, [], [])
    (group,) = facts["validation"]
    assert bool(group["folds"]) == (shifted_skill is not None)
    for row in group["leaderboard"]:
        assert f"{row['validation']['auc']['estimate']:.3f}" in page.text
    assert len(facts["costs"]) == 2


def test_only_some_were_evaluated_on_test(add_run: FinishedRuns) -> None:
    add_run("a", validation_only=True, shifted_skill=1.0)
    work = add_run("b", shifted_skill=1.0)
    runs, failed = read_runs(work)
    assert [isinstance(run, EvaluatedRun) for run in runs] == [False, True]
    numbers = comparison_results(runs, failed, work / "none", 100)
    assert numbers["looks"] == 1
    assert [row["name"] for row in numbers["questions"][0]["leaderboard"]] == ["b"]
    assert {row["name"] for row in numbers["validation"][0]["leaderboard"]} == {"a", "b"}


def test_a_missing_training_is_named(add_run: FinishedRuns) -> None:
    work = add_run("a", validation_only=True)
    next((work / "artifacts").rglob("training.json")).unlink()
    with pytest.raises(PneumoError, match=r"training.json is missing: run the configuration again"):
        read_runs(work)
