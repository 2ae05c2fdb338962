import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from components.evaluation.metrics import (
    average_precision,
    binary_metrics,
    brier,
    calibration_curve,
    confusion,
    expected_calibration_error,
    pr_curve,
    roc_auc,
    roc_curve,
)

NAN = math.nan
CASES = [
    # labels, scores, threshold, expected
    ([], [], 0.5, {"auc": NAN, "accuracy": NAN, "sensitivity": NAN, "brier": NAN, "ece": NAN}),
    ([1], [0.9], 0.5, {"auc": NAN, "accuracy": 1, "sensitivity": 1, "specificity": NAN}),
    ([0], [0.9], 0.5, {"auc": NAN, "auc_pr": NAN, "accuracy": 0, "sensitivity": NAN,
                       "specificity": 0, "precision": 0, "npv": NAN}),
    ([0, 1], [0.1, 0.9], 0.5, {"auc": 1, "auc_pr": 1, "accuracy": 1, "f1": 1, "brier": 0.01}),
    ([1, 0], [0.1, 0.9], 0.5, {"auc": 0, "accuracy": 0, "f1": 0}),
    ([0, 1, 0, 1], [0.5] * 4, 0.5, {"auc": 0.5, "auc_pr": 0.5, "accuracy": 0.5, "sensitivity": 1,
                                    "specificity": 0, "ece": 0}),
    ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5, {"auc": 0.75, "auc_pr": 5 / 6, "sensitivity": 0.5,
                                                "specificity": 1, "precision": 1, "npv": 2 / 3}),
    ([0, 0, 0], [0.1, 0.2, 0.3], 0.5, {"f1": NAN, "specificity": 1, "precision": NAN}),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "scores", "threshold", "expected"), CASES)
def test_by_hand(
    labels: list[int], scores: list[float], threshold: float, expected: dict[str, float]
) -> None:
    found = binary_metrics(np.array(labels), np.array(scores), threshold)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True), name


@pytest.mark.parametrize(
    ("labels", "scores", "says"),
    [
        ([0, 1], [0.5, NAN], "score nan at 1 is"),
        ([0, 1], [math.inf, 0.5], "score inf at 0 is"),
        ([0, 2], [0.5, 0.5], "label 2 at 1 is"),
        ([0, 1], [0.5], r"\(2,\)"),
        ([[0, 1]], [[0.5, 0.5]], "rows"),
    ],
)
def test_bad_input_is_told_with_its_value(labels: list, scores: list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        binary_metrics(np.array(labels), np.array(scores), 0.5)


pairs = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5001, 0.9, 1.0])),
    min_size=2,
    max_size=60,
).filter(lambda rows: {y for y, _ in rows} == {0, 1})


@settings(max_examples=150)
@given(pairs)
def test_equals_scikit_learn(rows: list[tuple[int, float]]) -> None:
    y, s = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assert roc_auc(y, s) == pytest.approx(sk.roc_auc_score(y, s))
    assert average_precision(y, s) == pytest.approx(sk.average_precision_score(y, s))
    precision, recall, thresholds = sk.precision_recall_curve(y, s)  # ends with the point (0, 1)
    found = pr_curve(y, s)
    for ours, theirs in zip(found, (recall[:-1], precision[:-1], thresholds), strict=True):
        np.testing.assert_allclose(ours[::-1], theirs)
    assert brier(y, s) == pytest.approx(sk.brier_score_loss(y, s))
    called = (s >= 0.5).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(y, called, labels=[0, 1]).ravel()
    assert confusion(y, s, 0.5).__dict__ == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
    assert binary_metrics(y, s, 0.5)["f1"] == pytest.approx(sk.f1_score(y, called), nan_ok=True)
    fpr, tpr, _ = roc_curve(y, s)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc_auc(y, s))
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= 0).all()


@settings(max_examples=60)
@given(pairs)
def test_turning_scores_round_turns_the_auc_round(rows: list[tuple[int, float]]) -> None:
    y, s = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assert roc_auc(y, 1 - s) == pytest.approx(1 - roc_auc(y, s))


def test_a_calibrated_score_has_no_error_and_a_shifted_one_has_the_shift() -> None:
    y = np.array([0] * 75 + [1] * 25)
    assert expected_calibration_error(y, np.full(100, 0.25)) == pytest.approx(0)
    assert expected_calibration_error(y, np.full(100, 0.65)) == pytest.approx(0.4)


def test_calibration_curve_counts_every_image_once() -> None:
    s = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    curve = calibration_curve(np.array([0, 1, 0, 1, 1]), s)
    assert sum(b.n for b in curve) == 5
    assert [(b.low, b.n) for b in curve] == [(0.0, 2), (0.1, 1), (0.9, 2)]


def test_curves_that_are_not_defined_are_empty() -> None:
    assert all(len(row) == 0 for row in pr_curve(np.array([0, 0]), np.array([0.2, 0.4])))
    assert all(len(row) == 0 for row in roc_curve(np.array([1, 1]), np.array([0.2, 0.4])))
