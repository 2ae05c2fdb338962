from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.metrics.binary import binary_metrics, brier_score_loss, roc_auc_score
from core.metrics.bootstrap import Interval
from core.metrics.decisions.risk_coverage import aurc
from core.predictions.metrics import score_intervals
from core.reporting.report import reliability
from schema.labels import BINARY, THREE_CLASS
from tests.support.predictions import synthetic_predictions


def top_label_ece(p: np.ndarray, labels: np.ndarray) -> float:
    """By its definition: bin after bin, the gap weighted by the images."""
    sure, right = p.max(axis=1), p.argmax(axis=1) == labels
    gaps = []
    for low in np.arange(10) / 10:
        inside = (sure >= low) & (sure < low + 0.1)
        if inside.any():
            gaps.append(inside.mean() * abs(sure[inside].mean() - right[inside].mean()))
    return sum(gaps)


def test_calibration_before_and_after_scaling() -> None:
    given = synthetic_predictions(150, task=THREE_CLASS, members=2, unknown=True)
    found = reliability.calibration_metrics(given, 100, 0)
    raw = given.raw[:, 1:].sum(axis=1)
    assert found["before"]["brier"]["estimate"] == pytest.approx(
        brier_score_loss(given.positive, raw)
    )
    assert found["after"]["brier"]["estimate"] == pytest.approx(
        brier_score_loss(given.positive, given.score)
    )
    part = given.with_class_label()
    for name, p in (("before", part.raw), ("after", part.probabilities)):
        expected = top_label_ece(p, part.label)
        assert found[name]["top_label_ece"]["estimate"] == pytest.approx(expected)
        expected = np.mean(((p - np.eye(3)[part.label]) ** 2).sum(axis=1))
        assert found[name]["class_brier"]["estimate"] == pytest.approx(expected)
        for value in found[name].values():
            assert value["low"] <= value["high"]
    assert set(reliability.calibration_metrics(synthetic_predictions(40), 100, 0)["after"]) == {
        "ece",
        "brier",
    }


def test_bounds_of_predictive_values() -> None:
    def interval(*values: float) -> Interval:
        return Interval(*values, resamples_used=100)

    found = reliability.predictive_values_by_prevalence(
        {"sensitivity": interval(0.9, 0.8, 1.0), "specificity": interval(0.8, 0.7, 0.9)}
    )
    row = next(row for row in found if row["prevalence"] == 0.5)
    assert row["ppv"]["estimate"] == pytest.approx(0.9 / 1.1)
    assert row["ppv"]["low"] == pytest.approx(0.8 / 1.1)
    assert row["npv"]["high"] == pytest.approx(1.0)
    for row in found:
        for name in ("ppv", "npv"):
            assert row[name]["low"] <= row[name]["estimate"] <= row[name]["high"]


def test_coverage() -> None:
    given = synthetic_predictions(200, task=THREE_CLASS, unknown=True)
    found = reliability.coverage(given, 100, 0)
    right, sure = reliability.correctness(given)
    assert len(right) == 150
    assert found["aurc"]["estimate"] == pytest.approx(aurc(right, sure))
    errors = [point["error"]["estimate"] for point in found["points"]]
    assert errors[0] == pytest.approx(1 - right.mean())
    order = np.argsort(-sure)
    assert errors[3] == pytest.approx(1 - right[order[:120]].mean())  # coverage 0.8
    assert errors[-1] < errors[0]
    only = given.where(given.pathogen == "unknown")
    assert reliability.coverage(only, 100, 0) is None


def test_abstention() -> None:
    given = synthetic_predictions(200, band=(0.35, 0.7))
    found = reliability.abstention(given, 100, 0)
    referred = (given.score >= 0.35) & (given.score < 0.7)
    wrong = (given.score >= 0.5) != (given.positive == 1)
    assert found["referred"] == referred.sum()
    assert found["wrong_referred"] == (wrong & referred).sum()
    assert found["wrong_left"] == (wrong & ~referred).sum()
    assert found["coverage"]["estimate"] == pytest.approx(1 - referred.mean())
    accuracy = found["metrics"]["accuracy"]["estimate"]
    assert accuracy == pytest.approx(1 - wrong[~referred].mean())
    assert reliability.abstention(synthetic_predictions(20), 100, 0) is None
    every = reliability.abstention(synthetic_predictions(20, band=(0.0, 1.1)), 100, 0)
    assert every["metrics"] is None
    assert every["coverage"]["estimate"] == 0.0
    assert every["coverage"]["exact"]


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS], ids=lambda task: task.name)
def test_member_correlation(task: Any) -> None:
    given = synthetic_predictions(150, task=task, members=3)
    rows = reliability.member_correlation(given, ["a", "b", "c"], 100, 0)
    assert [row["members"] for row in rows] == [["a", "b"], ["a", "c"], ["b", "c"]]
    score = given.members[:, :, list(task.positive)].sum(axis=2)
    expected = np.corrcoef(np.log(score / (1 - score)).T)
    for row, (i, j) in zip(rows, [(0, 1), (0, 2), (1, 2)], strict=True):
        value = row["positive"]
        assert value["estimate"] == pytest.approx(expected[i, j])
        assert value["low"] < value["estimate"] < value["high"]
        assert ("pair" in row) is (task is THREE_CLASS)
    same = replace(given, members=np.repeat(given.members[:, :1], 2, axis=1))
    (row,) = reliability.member_correlation(same, None, 100, 0)
    assert row["positive"]["estimate"] == pytest.approx(1)
    constant = replace(given, members=np.full_like(given.members, 0.5))
    row = reliability.member_correlation(constant, None, 100, 0)[0]
    assert np.isnan(row["positive"]["estimate"])
    assert reliability.member_correlation(synthetic_predictions(20), None, 100, 0) == []


def test_member_names() -> None:
    seeds = [{"seed": 3}, {"seed": 5}]
    assert reliability.member_names({"members": seeds}) == ["seed 3", "seed 5"]
    named = [
        {"backbone": "VGG16", "seed": 0},
        {"backbone": "Xception", "seed": 0},
    ]
    assert reliability.member_names({"members": named}) == ["VGG16, seed 0", "Xception, seed 0"]
    assert reliability.member_names(None) is None


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS], ids=lambda task: task.name)
def test_members(task: object) -> None:
    given = synthetic_predictions(150, task=task, members=3, threshold=0.4)
    found = reliability.member_spread(given, ["a", "b", "c"])
    assert found["names"] == ["a", "b", "c"]
    area = found["metrics"]["auc"]
    for m, value in enumerate(area["values"]):
        own = given.members[:, m] ** (1 / 1.25)
        score = own[:, list(task.positive)].sum(axis=1) / own.sum(axis=1)
        assert value == pytest.approx(roc_auc_score(given.positive, score))
        expected = binary_metrics(given.positive, score, 0.4)["accuracy"]
        assert found["metrics"]["accuracy"]["values"][m] == pytest.approx(expected)
    assert area["low"] == min(area["values"])
    assert ("macro_auc" in found["metrics"]) is (task is THREE_CLASS)
    one = synthetic_predictions(100, task=task)  # a single member is the ensemble
    found = reliability.member_spread(one, None)
    assert found["names"] == ["seed 0"]
    for name in ("auc", "accuracy", "sensitivity", "brier", "ece"):
        expected = score_intervals(one, 100, 0)[name].estimate
        assert found["metrics"][name]["mean"] == pytest.approx(expected)


def test_validation_against_test() -> None:
    val, test = synthetic_predictions(100, 1), synthetic_predictions(100, 2)
    found = reliability.operating_point_metrics(val, score_intervals(test, 100, 0), 100, 0)
    assert found["sensitivity"]["validation"]["estimate"] == pytest.approx(
        (val.predicted_positive[val.positive == 1] == 1).mean()
    )
    assert found["auc"]["test"]["estimate"] == pytest.approx(
        roc_auc_score(test.positive, test.score)
    )
    none = val.where(np.zeros(100, bool))
    assert reliability.operating_point_metrics(none, score_intervals(test, 100, 0), 100, 0) is None


def test_shift_warning_names_the_class() -> None:
    val, test = synthetic_predictions(200, 3), synthetic_predictions(200, 4)
    moved = replace(test, score=np.where(test.positive == 0, test.score**0.3, test.score))
    found = reliability.shift_section(val, moved, ("NORMAL", "PNEUMONIA"), 0)
    assert len(found["warnings"]) == 1
    assert "NORMAL images differ" in found["warnings"][0]
    assert reliability.shift_section(val, test, ("NORMAL", "PNEUMONIA"), 0)["warnings"] == []
