from typing import Any

import numpy as np
import pytest

from components.reporting import format as f
from components.reporting.names import BOXES, CLASSES, HEADLINE, HEAT, explanations, metric_name
from components.reporting.notices import SYNTHETIC, notices


def test_to_json() -> None:
    nested = {
        "a": [float("inf"), (1, np.float32(0.5))],
        3: np.array([1.5, np.nan]),
        "n": np.int64(3),
    }
    assert f.to_json(nested) == {"a": [None, [1, 0.5]], "3": [1.5, None], "n": 3}


@pytest.mark.parametrize(
    ("format_", "value", "expected"),
    [
        (f.number, None, "not defined"),
        (f.number, float("nan"), "not defined"),
        (f.number, 1234.5678, "1,234.568"),
        (f.count, None, "unknown"),
        (f.count, 1234, "1,234"),
        (f.score, 0.0, "0.000"),
        (f.score, 1e-5, "below 0.001"),
        (f.score, 0.25, "0.250"),
        (f.score, 0.99999, "above 0.999"),
        (f.score, 1.0, "1.000"),
        (f.p_value, None, "not defined"),
        (f.p_value, 0.0, "below 0.001"),
        (f.p_value, 0.02, "0.020"),
        (f.signed, None, "not defined"),
        (f.signed, -0.0004, "0.000"),
        (f.signed, 0.01, "+0.010"),
        (f.signed, -0.01, "-0.010"),
        (f.duration, None, "unknown"),
        (f.duration, 59.94, "59.9 s"),
        (f.duration, 60, "1 min 0 s"),
        (f.duration, 733.4, "12 min 13 s"),
        (f.duration, 3599.7, "1 h 0 min"),
        (f.duration, 7384, "2 h 3 min"),
        (f.interval, None, "not defined"),
        (f.interval, {"estimate": None}, "not defined"),
        (f.interval, {"estimate": 0.5, "low": None, "high": None}, "0.500 (no interval)"),
        (f.interval, {"estimate": 0.5, "low": 0.4, "high": 0.6}, "0.500 (0.400 to 0.600)"),
        (f.interval, {"estimate": 1, "low": 0.4, "high": 1, "exact": True},
         "1.000 (0.400 to 1.000)†"),
        (f.bounds, {"estimate": 0.5, "low": 0.4, "high": 0.6}, "0.400 to 0.600"),
        (f.bounds, {"estimate": None}, ""),
        (f.counts, {"truncated": 3, "not_an_image": 1000}, "3 truncated, 1,000 not an image"),
        (f.capitalized, "a b C", "A b C"),
    ],
)  # fmt: skip
def test_formats(format_: Any, value: Any, expected: str) -> None:
    assert format_(value) == expected
    few = {"estimate": 0.5, "low": 0.4, "high": 0.6, "resamples_used": 7}
    assert f.interval(few, 9) == "0.500 (0.400 to 0.600; 7 resamples)"


def test_names_of_metrics() -> None:
    for name in (*HEADLINE, *BOXES, *HEAT, *CLASSES):
        assert metric_name(name)[0].isupper()
        assert name in explanations()
    assert metric_name("recall/VIRUS") == "Recall, VIRUS"
    assert metric_name("auc/A|B") == "AUC, A against B"
    assert metric_name("new_metric") == "new metric"
    assert "VIRUS and BACTERIA" in explanations(pair=["VIRUS", "BACTERIA"])["pairwise_auc"]


def test_notices() -> None:
    random = {"trunk": "VGG16", "weights": {"kind": "random", "reason": "offline"}}
    assert notices(None, None) == []
    assert notices({"synthetic": False}, {"weights": {"kind": "file"}}) == []
    first, second = notices({"synthetic": True}, random)
    assert first == SYNTHETIC
    assert second.startswith("RANDOM WEIGHTS: VGG16 was not pretrained (offline)")
