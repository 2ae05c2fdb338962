import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.binary import roc_auc_score
from core.metrics.boxes.challenge import challenge_score
from core.reporting.compare.binary_problems import BinaryPredictions
from core.reporting.compare.page import write_comparison
from core.reporting.compare.paired_tests import compare_predictions, holm
from core.reporting.compare.results import comparison_results, disputed_images
from core.reporting.compare.runs import read_runs
from schema.labels import BACTERIA_VIRUS, BINARY, LOCATE, THREE_CLASS, TWO_STAGE
from tests.support.finished_runs import FinishedRuns


def score(
    values: list[float], labels: list[int], patients: list[int] | None = None
) -> BinaryPredictions:
    n = len(values)
    s, y = np.array(values), np.array(labels, np.int64)
    ids = np.array([f"id{i}" for i in range(n)])
    patient = ids if patients is None else np.array(patients)
    return BinaryPredictions(y, s, (s >= 0.5).astype(np.int64), 0.5, ids, ids, ids, patient)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_p_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(a <= b <= 1 for a, b in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_holm() -> None:
    # 3 * .01, 2 * .03, not below the one before
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([math.nan, 0.02]) == pytest.approx([math.nan, 0.02], nan_ok=True)


def test_paired_differences_are_first_minus_second() -> None:
    y = [0, 0, 0, 0, 1, 1, 1, 1]
    good = score([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9], y)
    bad = score([0.1, 0.8, 0.3, 0.4, 0.6, 0.2, 0.8, 0.9], y)
    (row,) = compare_predictions({"good": good, "bad": bad})
    assert (row["a"], row["b"], row["only_a"], row["only_b"]) == ("good", "bad", 2, 0)
    assert row["accuracy"]["difference"] == pytest.approx(0.25)
    assert row["auc"]["difference"] == pytest.approx(1 - roc_auc_score(bad.label, bad.score))
    assert row["auc"]["p"] == row["auc"]["p_holm"]


def test_order_of_disputed_images() -> None:
    y = [1, 1, 1, 0]
    scores = {
        "a": score([0.9, 0.9, 0.6, 0.1], y),
        "b": score([0.9, 0.1, 0.6, 0.2], y),
        "c": score([0.9, 0.2, 0.6, 0.7], y),
        "d": score([0.9, 0.8, 0.4, 0.3], y),
    }
    rows = disputed_images(scores)
    # id1: two against two; id3 and id2: one against three, the wider spread first; id0: agreed.
    assert [row["sha256"] for row in rows] == ["id1", "id3", "id2"]
    assert [answer["right"] for answer in rows[0]["answers"]] == [True, False, False, True]
    assert len(disputed_images(scores, limit=1)) == 1
    assert disputed_images({"a": scores["a"]}) == []


def test_leaderboard_is_sorted_by_validation(add_run: FinishedRuns) -> None:
    add_run("lucky", seed=1, skill=6.0, val_skill=0.0)  # best on test
    add_run("sound", seed=2, skill=1.0, val_skill=6.0)
    work = add_run("middle", seed=3, skill=2.0, val_skill=1.0)
    runs, failed = read_runs(work)
    (question,) = comparison_results(runs, failed, work / "none.sqlite", 100)["questions"]
    board = {row["name"]: row["metrics"]["auc"] for row in question["leaderboard"]}
    assert list(board) == ["sound", "middle", "lucky"]
    assert max(board, key=lambda name: board[name]["estimate"]) == "lucky"
    for run in runs:
        labeled = run.test.with_binary_label()
        area = board[run.name]
        assert area["estimate"] == pytest.approx(roc_auc_score(labeled.positive, labeled.score))
        assert area["low"] <= area["estimate"] <= area["high"]
    assert len(question["paired"]) == 3


def test_tasks_with_the_same_classes_are_compared(add_run: FinishedRuns) -> None:
    add_run("binary", BINARY)
    add_run("pair", BACTERIA_VIRUS)
    add_run("three", THREE_CLASS, seed=1, val_skill=0.5)
    work = add_run("stages", TWO_STAGE, seed=2, val_skill=5.0)
    runs, failed = read_runs(work)
    numbers = comparison_results(runs, failed, work / "none.sqlite", 100)
    (group,) = numbers["classes"]
    assert [row["name"] for row in group["leaderboard"]] == ["stages", "three"]
    assert group["images"] == 20  # those of unknown pathogen have no one class
    (test,) = group["paired"]
    assert (test["a"], test["b"]) == ("stages", "three")
    for row in group["leaderboard"]:
        labelled = next(run for run in runs if run.name == row["name"]).test.with_class_label()
        share = (labelled.predicted_label == labelled.label).mean()
        assert row["metrics"]["class_accuracy"]["estimate"] == pytest.approx(share)
        assert "recall/VIRUS" in row["metrics"]


def test_detectors_have_their_own_problem_and_box_metrics(
    add_run: FinishedRuns,
) -> None:
    add_run("binary", BINARY)
    add_run("near", LOCATE, seed=1, skill=4.0)
    work = add_run("far", LOCATE, seed=2, skill=0.5)
    runs, failed = read_runs(work)
    numbers = comparison_results(runs, failed, work / "none.sqlite", 100)
    asked = {q["title"]: q for q in numbers["questions"]}
    assert len(asked) == 2
    located = asked["opacity against no opacity"]
    assert [row["name"] for row in located["leaderboard"]] == ["near", "far"]
    for row in located["leaderboard"]:
        test = next(run for run in runs if run.name == row["name"]).test
        shown, scores = test.shown_boxes()
        expected = challenge_score(test.truth_boxes.tolist(), shown.tolist(), scores.tolist())
        assert row["metrics"]["challenge"]["estimate"] == pytest.approx(expected)
        assert row["metrics"]["pointing"]["estimate"] == 1
    others = [q for q in asked.values() if q is not located]
    assert all("challenge" not in row["metrics"] for q in others for row in q["leaderboard"])
    page, _ = write_comparison(runs, failed, work, 100)
    assert page.read_text().count("Challenge score") == 1


@pytest.mark.parametrize("n", [2, 4])
def test_tiny_test_split(add_run: FinishedRuns, n: int, tmp_path: Path) -> None:
    add_run("a", seed=1, n=n)
    work = add_run("naive", seed=2, n=n, weights="random")
    (tmp_path / "records" / "dataset.json").write_text('{"synthetic": true}')
    numbers = comparison_results(*read_runs(work), work / "none.sqlite", 100)
    json.dumps(numbers, allow_nan=False)
    synthetic, random = numbers["notices"]
    assert synthetic.startswith("SYNTHETIC") and "naive" in random
