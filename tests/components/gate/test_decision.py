import json
import math
from dataclasses import replace

import numpy as np
import pytest

from components.gate.decision import (
    check_bounds,
    compare_with_blessed,
    decide_blessing,
    paired_test,
)
from core.metrics.binary import roc_auc_score
from core.metrics.options import EvaluationOptions
from core.metrics.paired import PairedTest, delong_clustered
from core.predictions.predictions import SplitPredictions
from schema.errors import PneumoError
from schema.labels import BINARY, THREE_CLASS
from tests.support.boxes import synthetic_box_predictions
from tests.support.predictions import synthetic_predictions


def options(**more: object) -> EvaluationOptions:
    return EvaluationOptions(**{"resamples": 100, "gate": {"auc": {"min": 0.6}}, **more})


CLASSES, PLACES = synthetic_predictions(150, task=THREE_CLASS), synthetic_box_predictions(80)


@pytest.mark.parametrize(
    ("given", "gate", "kept"),
    [
        (CLASSES, {"auc": 0.5}, True),
        (CLASSES, {"auc": 0.999}, False),
        (CLASSES, {"auc": 0.5, "sensitivity": 0.5, "specificity": 1.0}, False),
        (CLASSES, {"class_accuracy": 0.5, "macro_auc": 0.5, "pairwise_auc": 0.5}, True),
        (CLASSES, {"pairwise_auc": 1.0}, False),
        (PLACES, {"challenge": 0.2, "box_ap": 0.3, "pointing": 0.5}, True),
        (PLACES, {"challenge": 0.9}, False),
        (PLACES, {"box_ap": 0.999}, False),
        (PLACES, {"auc": 0.5, "pointing": 1.0}, False),
    ],
)
def test_bounds(given: SplitPredictions, gate: dict[str, float], kept: bool) -> None:
    found = decide_blessing(given, None, options(gate={k: {"min": v} for k, v in gate.items()}))
    assert found.blessed is kept
    assert [rule.metric for rule in found.rules] == list(gate)
    assert (len(found.failures) == 0) is kept
    assert found.tests == []
    assert "no blessed model" in found.notes[0]
    for rule in found.rules:
        assert rule.low <= rule.value <= rule.high
        assert rule.ok is (rule.value >= rule.bound)


@pytest.mark.parametrize("metric", ["auc", "sensitivity"])
def test_a_bound_is_kept_where_it_is_just_reached(metric: str) -> None:
    given = synthetic_predictions(150)
    (rule,) = check_bounds(given, options(gate={metric: {"min": 0.0}}))
    for bound, kept in ((rule.value, True), (math.nextafter(rule.value, 1), False)):
        assert check_bounds(given, options(gate={metric: {"min": bound}}))[0].ok is kept


@pytest.mark.parametrize(("p_worse", "ok"), [(0.05, True), (math.nextafter(0.05, 0), False)])
def test_a_drop_counts_below_the_level_and_not_at_it(p_worse: float, ok: bool) -> None:
    pair = PairedTest("bootstrap", 0.5, 0.6, n=10, clusters=10, se=0.05, p_worse=p_worse)
    assert paired_test("challenge", pair, 0.05).ok is ok


def test_a_bound_on_a_number_that_is_not_defined_is_not_kept() -> None:
    given = synthetic_predictions(30)
    ill = given.where(given.positive == 1)
    found = decide_blessing(ill, None, options(gate={"auc": {"min": 0.0}}))
    assert not found.blessed
    assert math.isnan(found.rules[0].value)
    assert "not defined" in found.failures[0]


def test_the_tests_are_those_of_the_paired_module() -> None:
    one, two = (
        synthetic_predictions(200, model_seed=1),
        synthetic_predictions(200, model_seed=2, threshold=0.6),
    )
    found = {test.metric: test for test in compare_with_blessed(one, two, options())}
    assert set(found) == {"auc", "accuracy"}
    expected = delong_clustered(one.positive, one.score, two.score, one.patient)
    assert found["auc"].p_worse == expected.p_worse
    assert found["auc"].candidate == pytest.approx(roc_auc_score(one.positive, one.score))
    # Each at its own operating point.
    right = (two.score >= 0.6) == (two.positive == 1)
    assert found["accuracy"].blessed == pytest.approx(right.mean())
    assert found["auc"].alpha == pytest.approx(0.025)  # two tests share 0.05
    assert found["auc"].detectable == pytest.approx((1.95996 + 0.84162) * expected.se, rel=1e-4)


@pytest.mark.parametrize(
    ("candidate", "blessed_skill", "ok"),
    [(2.0, 2.0, True), (3.0, 1.0, True), (0.5, 3.0, False)],
)
@pytest.mark.parametrize("of", [BINARY, THREE_CLASS], ids=lambda of: of.name)
def test_only_a_significant_drop_refuses(
    of: object, candidate: float, blessed_skill: float, ok: bool
) -> None:
    one = synthetic_predictions(300, task=of, skill=candidate, model_seed=1)
    two = synthetic_predictions(300, task=of, skill=blessed_skill, model_seed=2)
    found = decide_blessing(one, two, options(gate={"auc": {"min": 0.1}}))
    assert found.blessed is ok
    assert {test.metric for test in found.tests} == (
        {"auc", "accuracy"} if of is BINARY else {"auc", "accuracy", "class_accuracy"}
    )
    assert all(test.ok for test in found.tests) is ok
    if not ok:
        assert "auc is significantly lower" in found.failures[0]


def test_noise_does_not_refuse() -> None:
    """Models of equal skill: of 200, about 5 % are refused, a plain comparison refuses half."""
    refused = lower = 0
    for seed in range(200):
        one, two = (
            synthetic_predictions(120, seed, model_seed=1),
            synthetic_predictions(120, seed, model_seed=2),
        )
        tests = compare_with_blessed(one, two, options())
        refused += not all(test.ok for test in tests)
        lower += tests[0].difference < 0
    assert refused <= 20
    assert 70 <= lower <= 130


def test_a_gain_does_not_make_up_for_a_bound() -> None:
    one, two = synthetic_predictions(200, skill=2.0), synthetic_predictions(200, skill=0.1)
    found = decide_blessing(one, two, options(gate={"auc": {"min": 0.999}}))
    assert all(test.ok for test in found.tests)
    assert not found.blessed


def test_few_patients_leave_it_to_the_bounds() -> None:
    one, two = synthetic_predictions(6, skill=9.0), synthetic_predictions(6, skill=-9.0)
    same = np.where(one.positive == 1, "p", "q")
    found = decide_blessing(replace(one, patient=same), replace(two, patient=same), options())
    auc = found.tests[0]
    assert auc.ok
    assert "too few patients" in auc.note
    assert found.blessed


def test_the_configuration_chooses_the_tests() -> None:
    one, two = synthetic_predictions(60, skill=0.0), synthetic_predictions(60, skill=4.0)
    none = options(gate={"auc": {"min": 0.0}}, against_blessed={"tests": []})
    assert decide_blessing(one, two, none).blessed
    auc = options(against_blessed={"tests": ["auc"], "alpha": 0.01})
    assert [(test.metric, test.alpha) for test in compare_with_blessed(one, two, auc)] == [
        ("auc", 0.01)
    ]


def test_models_that_cannot_be_compared() -> None:
    one = synthetic_predictions(20)
    with pytest.raises(PneumoError, match="different images"):
        decide_blessing(one, one.where(np.arange(19)), options())
    with pytest.raises(PneumoError, match="task 'three_class'"):
        decide_blessing(one, synthetic_predictions(20, task=THREE_CLASS), options())


def test_the_decision_is_json() -> None:
    ill = synthetic_predictions(30)
    ill = ill.where(ill.positive == 1)
    values = decide_blessing(ill, ill, options()).to_dict()
    text = json.dumps(values, allow_nan=False)
    assert json.loads(text) == values
    assert values["rules"][0]["value"] is None
    assert check_bounds(ill, options(gate={"sensitivity": {"min": 0.1}}))[0].ok


def test_without_boxes_their_bounds_are_not_kept() -> None:
    found = decide_blessing(
        synthetic_predictions(30), None, options(gate={"challenge": {"min": 0.0}})
    )
    assert not found.blessed
    assert "challenge is not defined" in found.failures[0]


@pytest.mark.parametrize(("blur", "ok"), [(0.02, True), (0.0, True), (0.12, False)])
def test_boxes_that_got_worse_refuse(blur: float, ok: bool) -> None:
    one, two = (
        synthetic_box_predictions(200, model_seed=1, blur=blur),
        synthetic_box_predictions(200, model_seed=2, blur=0.02),
    )
    # The images' scores are as good as before: only the boxes differ.
    one = replace(one, score=two.score)
    found = decide_blessing(one, two, options())
    tests = {test.metric: test for test in found.tests}
    assert set(tests) == {"auc", "accuracy", "challenge"}
    assert tests["challenge"].ok is ok
    assert tests["challenge"].alpha == pytest.approx(0.05 / 3)
    assert tests["challenge"].detectable > 0
    assert found.blessed is ok
    if not ok:
        assert "challenge is significantly lower" in found.failures[0]


def test_each_model_stands_at_its_own_threshold_of_boxes() -> None:
    given = synthetic_box_predictions(100)
    shy = replace(given, box_threshold=2.0)  # shows none
    tests = {test.metric: test for test in compare_with_blessed(shy, given, options())}
    assert tests["challenge"].candidate == 0
    assert not tests["challenge"].ok


def test_a_blessed_model_without_boxes_is_compared_on_the_images_alone() -> None:
    given = synthetic_box_predictions(60)
    old = replace(given, box_threshold=None)
    assert {test.metric for test in compare_with_blessed(given, old, options())} == {
        "auc",
        "accuracy",
    }
