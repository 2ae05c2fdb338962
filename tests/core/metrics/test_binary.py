import math

import numpy as np
import pytest
from sklearn import metrics as sk

from core.metrics.binary import (
    binary_metrics,
    brier_score_loss,
    calibration_curve,
    confusion_counts,
    expected_calibration_error,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

NAN = math.nan
CASES = [
    # labels, scores, expected
    ([], [], dict.fromkeys(("auc", "auc_pr", "accuracy", "sensitivity", "brier", "ece"), NAN)),
    ([1], [0.9], {"auc": NAN, "accuracy": 1, "sensitivity": 1, "specificity": NAN, "brier": 0.01}),
    (
        [0],
        [0.9],
        {
            "auc": NAN,
            "auc_pr": NAN,
            "accuracy": 0,
            "sensitivity": NAN,
            "specificity": 0,
            "precision": 0,
            "npv": NAN,
            "brier": 0.81,
        },
    ),
    ([0, 1], [0.1, 0.9], {"auc": 1, "auc_pr": 1, "accuracy": 1, "f1": 1, "brier": 0.01}),
    ([1, 0], [0.1, 0.9], {"auc": 0, "accuracy": 0, "f1": 0}),
    (
        [0, 1, 0, 1],
        [0.5] * 4,
        {"auc": 0.5, "auc_pr": 0.5, "sensitivity": 1, "specificity": 0, "ece": 0},
    ),
    (
        [0, 0, 1, 1],
        [0.1, 0.4, 0.35, 0.8],
        {
            "auc": 0.75,
            "auc_pr": 5 / 6,
            "sensitivity": 0.5,
            "specificity": 1,
            "precision": 1,
            "npv": 2 / 3,
        },
    ),
    ([0, 0, 0], [0.1, 0.2, 0.3], {"f1": NAN, "specificity": 1, "precision": NAN}),
]


@pytest.mark.parametrize(("labels", "scores", "expected"), CASES)
def test_by_hand(labels: list[int], scores: list[float], expected: dict[str, float]) -> None:
    found = binary_metrics(np.array(labels), np.array(scores), 0.5)
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5, NAN], "score nan at index 1 is"),
        ([0, 1], [math.inf, 0.5], "score inf at index 0 is"),
        ([0, 2], [0.5, 0.5], "label 2 at index 1 is"),
        ([0, 1], [0.5], r"\(2,\)"),
        ([[0, 1]], [[0.5, 0.5]], "equal length"),
    ],
)
@pytest.mark.parametrize(
    "metric",
    [
        roc_auc_score,
        lambda labels, scores: binary_metrics(labels, scores, 0.5),
        brier_score_loss,
        roc_curve,
        precision_recall_curve,
    ],
)
def test_bad_input_raises_with_its_value(metric, labels: list, scores: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(np.array(labels), np.array(scores))


def test_curves_go_from_the_highest_threshold_through_every_distinct_score() -> None:
    y, s = np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8, 0.9])
    fpr, tpr, threshold = roc_curve(y, s)
    assert threshold.tolist() == [math.inf, 0.9, 0.8, 0.4, 0.1]
    assert fpr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert tpr == pytest.approx([0, 1 / 3, 1 / 3, 1, 1])
    assert sk.auc(fpr, tpr) == pytest.approx(roc_auc_score(y, s))
    recall, precision, threshold = precision_recall_curve(y, s)
    assert threshold.tolist() == [0.9, 0.8, 0.4, 0.1]
    assert recall == pytest.approx([1 / 3, 1 / 3, 1, 1])
    assert precision == pytest.approx([1, 1 / 2, 3 / 4, 3 / 5])


def test_curves_that_are_undefined_are_empty() -> None:
    assert all(
        len(row) == 0 for row in precision_recall_curve(np.array([0, 0]), np.array([0.2, 0.4]))
    )
    assert all(len(row) == 0 for row in roc_curve(np.array([1, 1]), np.array([0.2, 0.4])))


def test_a_score_at_the_threshold_is_positive() -> None:
    found = confusion_counts(np.array([1, 0, 1, 0, 0]), np.array([0.5, 0.5, 0.4, 0.4, 0.1]), 0.5)
    assert (found.tp, found.fp, found.fn, found.tn) == (1, 1, 1, 2)


def test_a_calibrated_score_has_no_error_and_a_shifted_one_has_the_shift() -> None:
    y = np.array([0] * 75 + [1] * 25)
    assert expected_calibration_error(y, np.full(100, 0.25)) == pytest.approx(0)
    assert expected_calibration_error(y, np.full(100, 0.65)) == pytest.approx(0.4)
    curve = calibration_curve(np.array([0, 1, 0, 1, 1]), np.array([0.0, 0.05, 0.1, 0.95, 1.0]))
    assert [(b.low, b.n) for b in curve] == [(0.0, 2), (0.1, 1), (0.9, 2)]


@pytest.mark.parametrize(
    "labels, scores, specificity, sensitivity",
    [
        ([0, 1], [0.1, 0.9], 1.0, 1.0),
        ([1, 0], [0.1, 0.9], 0.0, 0.0),
        ([0, 1], [0.5, 0.5], 0.0, 0.0),
        # 19 of 20 positives are enough, and so are 19 of 20 negatives.
        ([0] * 4 + [1] * 20, [0.4] * 4 + [0.1] + [0.9] * 19, 1.0, 19 / 20),
        ([0] * 20 + [1] * 4, [0.1] * 19 + [0.95] + [0.9] * 4, 19 / 20, 1.0),
        ([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], 0.5, 0.5),
        ([1, 1], [0.1, 0.9], np.nan, np.nan),
        ([0], [0.3], np.nan, np.nan),
    ],
)
def test_rates_at_95_percent(
    labels: list[int], scores: list[float], specificity: float, sensitivity: float
) -> None:
    values = binary_metrics(np.array(labels), np.array(scores), 0.5)
    assert values["specificity_at_rate"] == pytest.approx(specificity, nan_ok=True)
    assert values["sensitivity_at_rate"] == pytest.approx(sensitivity, nan_ok=True)
