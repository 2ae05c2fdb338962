from typing import Any

import pytest
from pydantic import ValidationError

from core.metrics.options import EvaluationOptions
from core.metrics.registry import GATED
from schema.labels import BINARY, LOCATE


def test_the_defaults_are_valid_and_survive_json() -> None:
    options = EvaluationOptions()
    assert EvaluationOptions(**options.model_dump(mode="json")) == options
    assert options.operating_point.rule == "fixed"
    assert options.refer == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"threshold": 0.5}, "operating_point.threshold"),
        ({"gate": {"auc": {"min": 0.8, "max_drop": 0.01}}}, "against_blessed"),
        ({"gate": {}}, "the gate has no rule"),
        ({"gate": {"auk": {"min": 0.8}}}, "'auk'"),
        ({"gate": {"auc": {}}}, "Field required"),
        ({"gate": {"auc": {"min": 80}}}, "less than or equal to 1"),
        ({"operating_point": {"rule": "best"}}, "youden"),
        ({"operating_point": {"at_least": 0}}, "greater than 0"),
        ({"operating_point": {"cost_of_miss": 0}}, "greater than 0"),
        ({"operating_point": {"fit_on": "pooled"}}, "needs evaluation.shifted_validation"),
        ({"refer": 1}, "less than 1"),
        ({"against_blessed": {"alpha": 0.5}}, "less than 0.5"),
        ({"against_blessed": {"tests": ["auc", "auc"]}}, "duplicate test"),
        ({"resample": 5}, "Extra inputs"),
    ],
)
def test_bad_options(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        EvaluationOptions(**values)


def test_a_gate_without_paired_tests_is_allowed() -> None:
    assert EvaluationOptions(against_blessed={"tests": []}).against_blessed.tests == ()


@pytest.mark.parametrize("rule", [name for name in GATED if GATED[name] == "boxes"])
def test_rules_of_boxes_are_for_a_task_that_locates(rule: str) -> None:
    options = EvaluationOptions(gate={"auc": {"min": 0.8}, rule: {"min": 0.1}})
    options.check_task(LOCATE)
    with pytest.raises(ValueError, match=f"gate.{rule} needs boxes, but task 'binary'"):
        options.check_task(BINARY)
    EvaluationOptions().check_task(BINARY)
