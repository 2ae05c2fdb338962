import math
from typing import Any

import pytest

from core.metrics.options import EvaluationOptions, GateRule
from pipeline.kubeflow.runtime_parameters import PARAMETERS, apply_parameters, valid_value
from schema.errors import PneumoError


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("epochs", "5", 5),
        ("epochs", 5.0, 5),
        ("fine_tune_epochs", 1, 1),
        ("threshold", "0.25", 0.25),
        ("threshold", 0.5, 0.5),
        ("gate_auc", 1, 1.0),
        ("sensitivity", "1", 1.0),
        ("data", "gs://b/r", "gs://b/r"),
        ("weights", "random", "random"),
    ],
)
def test_right_values(name: str, value: Any, wanted: Any) -> None:
    found = valid_value(name, value)
    assert found == wanted
    assert type(found) is PARAMETERS[name].kind


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 5.5),
        ("epochs", "many"),
        ("epochs", -1),
        ("epochs", None),
        ("epochs", math.nan),
        ("threshold", 0),
        ("threshold", 1),
        ("threshold", "nan"),
        ("threshold", ""),
        ("gate_auc", 1.1),
        ("gate_auc", -0.1),
        ("sensitivity", 0),
        ("data", ""),
        ("weights", ""),
        ("data", 5),
        ("no_such", 1),
    ],
)
def test_wrong_values_are_one_line(name: str, value: Any) -> None:
    with pytest.raises(PneumoError, match=name) as raised:
        valid_value(name, value)
    assert "\n" not in str(raised.value)


def test_nothing_given_changes_nothing() -> None:
    properties = {"options": "no json at all", "code": "x", "n": 3}
    assert apply_parameters("Gate", properties) == properties


def test_the_given_properties_stay() -> None:
    options = EvaluationOptions(resamples=100)
    properties = {"options": options.to_json(), "code": "x"}
    changed = apply_parameters("Gate", properties | {"pneumo_gate_auc": 0.5})
    assert properties["options"] == options.to_json()
    expected = EvaluationOptions(resamples=100, gate={"auc": GateRule(min=0.5)})
    assert changed == {"options": expected.to_json(), "code": "x"}


@pytest.mark.parametrize(
    ("node", "properties", "given_", "line"),
    [
        ("Pusher", {}, {"epochs": 1}, "node Pusher has no parameter epochs"),
        ("Trainer", {}, {"epochs": 1}, "no property custom_config"),
        ("Trainer", {"custom_config": '{"training": {}}'}, {"epochs": 1}, "set training.epochs"),
        ("Trainer", {"custom_config": "[]"}, {"epochs": 1}, "set training.epochs"),
        (
            "Gate",
            {"options": '{"gate": {"f1": {"min": 0}}}'},
            {"gate_auc": 0.5},
            "set gate.auc.min",
        ),
        (
            "Gate",
            {"options": "{}"},
            {"epoch": 1},
            "unknown parameter 'epoch'; did you mean epochs?",
        ),
    ],
)
def test_no_place(node: str, properties: dict[str, Any], given_: dict[str, Any], line: str) -> None:
    with pytest.raises(PneumoError) as raised:
        apply_parameters(node, properties | {f"pneumo_{key}": of for key, of in given_.items()})
    assert line in str(raised.value)
