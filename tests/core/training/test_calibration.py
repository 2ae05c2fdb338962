import json

import numpy as np
import pytest

from core.metrics.operating_point import choose_operating_point
from core.metrics.options import EvaluationOptions
from core.training.calibration import calibrate, member_probabilities
from core.training.data.targets import class_targets
from schema.labels import THREE_CLASS


def overconfident(n: int = 600, members: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, members, 3)) + 1.2 * np.eye(3)[truth][:, None]
    return logits * 4, np.array(["normal", "bacteria", "virus"])[truth]


def test_calibration_lowers_loss_and_error_and_keeps_the_order() -> None:
    logits, names = overconfident()
    targets = class_targets(names, THREE_CLASS)
    positive = np.array([THREE_CLASS.binary_label(name, 0) for name in names])
    options = EvaluationOptions(operating_point={"rule": "sensitivity", "at_least": 0.9}, refer=0.1)
    result = calibrate(logits, targets, positive, THREE_CLASS, options)
    assert result.summary["temperature"] > 1.2
    assert result.summary["after"]["nll"] < result.summary["before"]["nll"]
    assert result.summary["after"]["ece"] < result.summary["before"]["ece"]
    np.testing.assert_allclose(result.raw, member_probabilities(logits).mean(axis=1))
    np.testing.assert_array_equal(result.raw.argmax(1), result.probabilities.argmax(1))
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
    # The threshold applies to calibrated scores.
    expected = choose_operating_point(positive, result.score, options.operating_point).threshold
    assert result.summary["threshold"] == expected
    raw = result.raw[:, list(THREE_CLASS.positive)].sum(axis=1)
    assert (
        abs(choose_operating_point(positive, raw, options.operating_point).threshold - expected)
        > 0.005
    )
    predicted = result.score >= result.summary["threshold"]
    assert predicted[positive == 1].mean() >= 0.9
    low, high = result.summary["band"]
    assert low <= result.summary["threshold"] <= high
    assert ((result.score >= low) & (result.score < high)).mean() <= 0.1
    json.dumps(result.summary, allow_nan=False)


@pytest.mark.parametrize("rule", ["fixed", "sensitivity", "specificity", "youden", "cost"])
def test_summary_is_json_for_every_rule(rule: str) -> None:
    logits, names = overconfident(60)
    positive = np.array([THREE_CLASS.binary_label(name, 0) for name in names])
    options = EvaluationOptions(operating_point={"rule": rule})
    result = calibrate(logits, class_targets(names, THREE_CLASS), positive, THREE_CLASS, options)
    json.dumps(result.summary, allow_nan=False)
    assert result.summary["operating_point"]["rule"] == rule


@pytest.mark.parametrize("names", [["normal"] * 4, ["unknown", "normal"], ["virus"]])
def test_small_validation_splits(names: list[str]) -> None:
    targets = class_targets(np.array(names), THREE_CLASS)
    positive = np.array([THREE_CLASS.binary_label(name, 0) for name in names])
    logits = np.random.default_rng(0).normal(size=(len(names), 1, 3))
    result = calibrate(logits, targets, positive, THREE_CLASS, EvaluationOptions())
    assert np.isfinite(result.score).all()
    assert 0 < result.summary["threshold"] < 1
