"""Metrics of folds and rules; see test_train for whole trainings."""

import numpy as np
import pytest

from core.metrics.binary import binary_statistics, roc_auc_score
from core.metrics.options import OperatingPointOptions
from core.training.ensemble_predictions import EnsemblePredictions
from core.training.shifted_validation.results import shifted_validation_results
from core.training.shifted_validation.rules import out_of_fold
from core.training.shifted_validation.statistics import mean_statistics
from core.training.shifted_validation.train import ShiftedValidation
from schema.labels import BINARY, THREE_CLASS, Task
from tests.support.shifted_validation import (
    OPTIONS,
    fitted,
    logits_of,
    records,
    results,
    trained_folds,
)


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS])
def test_every_metric_has_an_interval(task: Task) -> None:
    content = results(task)
    assert len(content["folds"]) == 4
    for part in (*content["folds"], content["mean"], content["ordinary"]):
        assert ("class_accuracy" in part["metrics"]) == (len(task.classes) > 2)
        for name, value in part["metrics"].items():
            # Resampling raises the calibration error.
            assert value["low"] <= value["estimate"] <= value["high"] or name == "ece"
    for name, value in content["mean"]["metrics"].items():
        folds = [fold["metrics"][name]["estimate"] for fold in content["folds"]]
        assert value["estimate"] == pytest.approx(np.mean(folds))
    first = content["folds"][0]
    assert first["images"]["held_out"] == first["images"]["held_out_of_training"] + 20
    assert first["patients"]["held_out"] <= first["images"]["held_out"]


@pytest.mark.parametrize("rule", ["sensitivity", "fixed"])
def test_both_rules_are_compared(rule: str) -> None:
    options = OPTIONS.model_copy(update={"operating_point": OperatingPointOptions(rule=rule)})
    content = results(BINARY, options)
    rules = content["rules"]
    assert content["fit_on"] == "validation"
    assert rules["validation"]["threshold"] == content["ordinary"]["threshold"]
    assert rules["validation"]["temperature"] == content["ordinary"]["temperature"]
    assert rules["pooled"]["temperature"] != rules["validation"]["temperature"]
    for one in rules.values():
        for values in (one["ordinary"], one["shifted"]):
            assert list(values) == ["sensitivity", "specificity", "ece"]


def test_each_side_of_the_pool_has_the_weight_of_validation() -> None:
    trained, val = trained_folds(BINARY)
    positive = val.binary_labels(BINARY)
    pool = out_of_fold(trained, positive, BINARY)
    assert pool is not None
    assert len(pool.raw) == len(pool.targets) == sum(len(one.records) for one in trained)
    for side in (0, 1):
        weight = pool.weights[pool.positive == side]
        assert weight.sum() == pytest.approx((positive == side).sum() / 2)
    start = 0
    for one in trained:
        end = start + len(one.records)
        assert pool.weights[start:end].sum() == pytest.approx(len(val) / 2 / len(trained))
        start = end
    assert out_of_fold([], positive, BINARY) is None


def test_without_folds_there_is_no_mean() -> None:
    content = results(BINARY)
    one = ShiftedValidation([], [], 0)
    val = records(60, 2)
    predictions = EnsemblePredictions.from_logits(logits_of(val, BINARY))
    calibrated = fitted(val, BINARY)
    empty = shifted_validation_results(one, val, predictions, calibrated, BINARY, OPTIONS)
    assert empty["mean"] is None
    assert empty["rules"]["validation"]["shifted"] is None
    assert empty["rules"]["pooled"]["threshold"] is None
    assert empty["ordinary"].keys() == content["ordinary"].keys()


def test_mean_of_sets_that_share_patients() -> None:
    rng = np.random.default_rng(0)
    sets = []
    for n in (7, 11):
        labels = np.arange(n) % 2
        sets.append((labels, rng.random(n)))
    statistics, shares = mean_statistics([binary_statistics(*one, 0.5) for one in sets])
    weights = rng.integers(1, 3, (4, 18)).astype(float)
    values = statistics(weights)["auc"]
    assert values.shape == (4,)
    whole = statistics(np.ones((1, 18)))["auc"][0]
    assert whole == pytest.approx(np.mean([roc_auc_score(*one) for one in sets]))
    assert shares["sensitivity"].sum() == 3 + 5
