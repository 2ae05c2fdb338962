"""Prediction sets of the report: which images they are fitted on, and missing parts."""

from dataclasses import replace

import numpy as np
import pytest

from core.metrics.decisions.conformal import ConformalPredictor, cross_fitted_sets
from core.reporting.report.decisions.prediction_sets import prediction_sets_section
from schema.labels import BINARY, THREE_CLASS, Task
from tests.support.predictions import synthetic_predictions


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS], ids=lambda task: task.name)
def test_validation_is_cross_fitted_and_test_uses_all_of_it(task: Task) -> None:
    val, test = synthetic_predictions(200, 1, task=task), synthetic_predictions(300, 2, task=task)
    found = prediction_sets_section(val, test, None, 50, 0)
    assert found is not None
    assert (found["images"], found["patients"]) == (200, 100)
    row = {(r["target"], r["by_class"], r["split"]): r["metrics"] for r in found["rows"]}
    assert len(row) == len(found["rows"]) == 8
    sets = ConformalPredictor.fit(val.label, val.probabilities, 0.1).sets(test.probabilities)
    covered = sets[np.arange(300), test.label].mean()
    assert row[0.9, False, "test"]["coverage"]["estimate"] == pytest.approx(covered)
    sets = cross_fitted_sets(val.label, val.probabilities, val.patient, 0.05, by_class=True)
    size = sets.sum(axis=1).mean()
    assert row[0.95, True, "val"]["size"]["estimate"] == pytest.approx(size)
    assert set(row[0.9, True, "test"]) == {
        "coverage",
        *(f"coverage/{name}" for name in task.classes),
        "size",
        "single",
        "empty",
    }


def test_images_without_a_single_class_do_not_count() -> None:
    val = synthetic_predictions(80, 1, task=THREE_CLASS, unknown=True)
    test = synthetic_predictions(80, 2, task=THREE_CLASS)
    found = prediction_sets_section(val, test, None, 20, 0)
    assert found is not None
    assert found["images"] == 60
    unknown = replace(val, label=np.full(80, -1))
    assert prediction_sets_section(unknown, test, None, 20, 0) is None
    assert prediction_sets_section(val, test.where(np.zeros(80, bool)), None, 20, 0) is None


def test_held_out_images_use_the_thresholds_of_validation() -> None:
    val, test = synthetic_predictions(200, 1), synthetic_predictions(100, 2)
    other = synthetic_predictions(120, 3, skill=0.5)
    held_out = other.where(other.label == 0)
    found = prediction_sets_section(val, test, held_out, 50, 0)
    assert found is not None
    assert found["held_out"] == len(held_out)
    row = {(r["target"], r["by_class"], r["split"]): r["metrics"] for r in found["rows"]}
    sets = ConformalPredictor.fit(val.label, val.probabilities, 0.1, by_class=True)
    covered = sets.sets(held_out.probabilities)[:, 0].mean()
    metrics = row[0.9, True, "held_out"]
    assert metrics["coverage"]["estimate"] == pytest.approx(covered)
    assert covered < 0.9
    assert np.isnan(metrics["coverage/PNEUMONIA"]["estimate"])  # the group has normals only
    none = prediction_sets_section(val, test, held_out.where(held_out.label == 1), 50, 0)
    assert none is not None
    assert none["held_out"] is None
