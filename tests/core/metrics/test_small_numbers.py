"""Predictive values, risk against coverage, spread over seeds."""

import math

import numpy as np
import pytest

from core.metrics.binary import predictive_values
from core.metrics.decisions.risk_coverage import aurc, risk_coverage
from core.metrics.seeds import spread_over_seeds


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "prevalence", "ppv", "npv"),
    [
        (0.9, 0.8, 0.5, 0.45 / 0.55, 0.4 / 0.45),
        (0.9, 0.8, 0.0, 0.0, 1.0),
        (0.9, 0.8, 1.0, 1.0, 0.0),
        (1.0, 1.0, 0.3, 1.0, 1.0),
        (0.0, 1.0, 0.3, math.nan, 0.7),
        (1.0, 0.0, 0.3, 0.3, math.nan),
        (math.nan, 0.8, 0.3, math.nan, math.nan),
    ],
)
def test_predictive_values_by_hand(
    sensitivity: float, specificity: float, prevalence: float, ppv: float, npv: float
) -> None:
    found = predictive_values(sensitivity, specificity, np.array([prevalence]))
    assert [float(x[0]) for x in found] == pytest.approx([ppv, npv], nan_ok=True)


def test_risk_coverage_by_hand() -> None:
    correct = np.array([True, True, False, True])
    coverage, risk = risk_coverage(correct, np.array([0.9, 0.8, 0.7, 0.6]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert aurc(correct, np.array([0.9, 0.8, 0.7, 0.6])) == pytest.approx((1 / 3 + 1 / 4) / 4)
    coverage, risk = risk_coverage(correct, np.full(4, 0.5))
    assert risk == pytest.approx([0.25] * 4)
    assert aurc(correct, np.full(4, 0.5)) == 0.25  # knows nothing: the error rate


def test_risk_coverage_degenerate() -> None:
    none = np.array([], bool)
    assert len(risk_coverage(none, np.array([]))[0]) == 0
    assert math.isnan(aurc(none, np.array([])))


def test_spread() -> None:
    found = spread_over_seeds([{"auc": 0.9, "f1": math.nan}, {"auc": 0.8}, {"auc": 1.0, "f1": 0.5}])
    auc = found["auc"]
    assert (auc.mean, auc.low, auc.high, auc.sd) == pytest.approx((0.9, 0.8, 1.0, 0.1))
    assert auc.values == (0.9, 0.8, 1.0)
    f1 = found["f1"]
    assert (f1.mean, f1.low, f1.high) == (0.5, 0.5, 0.5)
    assert math.isnan(f1.sd)
    assert spread_over_seeds([]) == {}
    assert math.isnan(spread_over_seeds([{"auc": math.nan}])["auc"].mean)
