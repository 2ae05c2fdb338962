import json

import numpy as np
import pytest

from core.metrics.operating_point import choose_operating_point
from core.metrics.options import EvaluationOptions
from core.training.calibration import calibrate, member_probabilities
from core.training.targets import class_targets
from schema.labels import THREE_CLASS


def overconfident(n: int = 600, members: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, n)
    evidence = rng.normal(size=(n, members, 3)) + 1.2 * np.eye(3)[truth][:, None]
    return evidence * 4, np.array(["normal", "bacteria", "virus"])[truth]


def test_calibration_lowers_loss_and_error_and_keeps_the_order() -> None:
    logits, names = overconfident()
    targets = class_targets(names, THREE_CLASS)
    positive = np.array([THREE_CLASS.binary_label(name, 0) for name in names])
    options = EvaluationOptions(
        operating_point={"rule": "sensitivity", "at_least": 0.9}, abstain=0.1
    )
    found = calibrate(logits, targets, positive, THREE_CLASS, options)
    assert found.summary["temperature"] > 1.2
    assert found.summary["after"]["nll"] < found.summary["before"]["nll"]
    assert found.summary["after"]["ece"] < found.summary["before"]["ece"]
    np.testing.assert_allclose(found.raw, member_probabilities(logits).mean(axis=1))
    np.testing.assert_array_equal(found.raw.argmax(1), found.probabilities.argmax(1))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    # The threshold is one of calibrated scores.
    expected = choose_operating_point(positive, found.score, options.operating_point).threshold
    assert found.summary["threshold"] == expected
    raw = found.raw[:, list(THREE_CLASS.positive)].sum(axis=1)
    assert (
        abs(choose_operating_point(positive, raw, options.operating_point).threshold - expected)
        > 0.005
    )
    called = found.score >= found.summary["threshold"]
    assert called[positive == 1].mean() >= 0.9
    low, high = found.summary["band"]
    assert low <= found.summary["threshold"] <= high
    assert ((found.score >= low) & (found.score < high)).mean() <= 0.1
    json.dumps(found.summary, allow_nan=False)


@pytest.mark.parametrize("rule", ["fixed", "sensitivity", "specificity", "youden", "cost"])
def test_facts_are_plain_json_whatever_the_rule(rule: str) -> None:
    logits, names = overconfident(60)
    positive = np.array([THREE_CLASS.binary_label(name, 0) for name in names])
    options = EvaluationOptions(operating_point={"rule": rule})
    found = calibrate(logits, class_targets(names, THREE_CLASS), positive, THREE_CLASS, options)
    json.dumps(found.summary, allow_nan=False)
    assert found.summary["operating_point"]["rule"] == rule


@pytest.mark.parametrize("names", [["normal"] * 4, ["unknown", "normal"], ["virus"]])
def test_a_validation_split_that_says_little_does_not_break(names: list[str]) -> None:
    targets = class_targets(np.array(names), THREE_CLASS)
    positive = np.array([THREE_CLASS.binary_label(name, 0) for name in names])
    logits = np.random.default_rng(0).normal(size=(len(names), 1, 3))
    found = calibrate(logits, targets, positive, THREE_CLASS, EvaluationOptions())
    assert np.isfinite(found.score).all()
    assert 0 < found.summary["threshold"] < 1
