from typing import Any

import numpy as np
import pytest

from core.reporting import format as f
from core.reporting.notices import SYNTHETIC, notices
from schema.files import json_values


def test_to_json() -> None:
    nested = {
        "a": [float("inf"), (1, np.float32(0.5))],
        3: np.array([1.5, np.nan]),
        "n": np.int64(3),
    }
    assert json_values(nested) == {"a": [None, [1, 0.5]], "3": [1.5, None], "n": 3}


ESTIMATE = {"estimate": 0.5, "low": 0.4, "high": 0.6}
EXACT = {"estimate": 1, "low": 0.4, "high": 1, "exact": True}
FORMATS: dict[Any, list[tuple[Any, str]]] = {
    f.number: [(None, "not defined"), (float("nan"), "not defined"), (1234.5678, "1,234.568")],
    f.count: [(None, "unknown"), (1234, "1,234")],
    f.score: [(0.0, "0.000"), (1e-5, "below 0.001"), (0.99999, "above 0.999"), (1.0, "1.000")],
    f.p_value: [(None, "not defined"), (0.0, "below 0.001"), (0.02, "0.020")],
    f.signed: [(None, "not defined"), (-0.0004, "0.000"), (0.01, "+0.010"), (-0.01, "-0.010")],
    f.duration: [(None, "unknown"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599.7, "1 h 0 min")],
    f.interval: [
        (None, "not defined"),
        ({"estimate": None}, "not defined"),
        ({"estimate": 0.5, "low": None, "high": None}, "0.500 (no interval)"),
        (ESTIMATE, "0.500 (0.400 to 0.600)"),
        (EXACT, "1.000 (0.400 to 1.000)†"),
    ],
    f.bounds: [(ESTIMATE, "0.400 to 0.600"), ({"estimate": None}, "")],
    f.counts: [({"truncated": 3, "not_an_image": 1000}, "3 truncated, 1,000 not an image")],
    f.capitalized: [("a b C", "A b C")],
    f.basename: [("a/b.png", "b.png"), ("b.png", "b.png")],
}


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.__name__)
def test_formats(format_: Any) -> None:
    for value, expected in FORMATS[format_]:
        assert format_(value) == expected
    assert f.interval(ESTIMATE | {"resamples_used": 7}, 9) == "0.500 (0.400 to 0.600; 7 resamples)"


def test_notices() -> None:
    random = {"backbone": "VGG16", "weights": {"kind": "random", "reason": "offline"}}
    assert notices(None, None) == []
    assert notices({"synthetic": False}, {"weights": {"kind": "file"}}) == []
    first, second = notices({"synthetic": True}, random)
    assert first == SYNTHETIC
    assert second.startswith("RANDOM WEIGHTS: VGG16 is not pretrained (offline)")
