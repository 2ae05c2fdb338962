import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.metrics.bootstrap import clustered_bootstrap
from core.metrics.multiclass import (
    class_metrics,
    class_statistics,
    confusion_matrix,
    pair_name,
)

NAMES = ("NORMAL", "BACTERIA", "VIRUS")


def sample(n: int, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    raised = np.exp(np.eye(classes)[labels] + rng.normal(0, 0.8, (n, classes)))
    p = raised / raised.sum(axis=1, keepdims=True)
    return labels, np.round(p, 2)  # rounded: ties


def by_scikit_learn(labels: np.ndarray, p: np.ndarray) -> dict[str, float]:
    predicted = p.argmax(axis=1)
    expected = {
        "class_accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "kappa": sk.cohen_kappa_score(labels, predicted),
    }
    for c, name in enumerate(NAMES):
        one = {"labels": [c], "average": "micro", "zero_division": math.nan}
        expected[f"auc/{name}"] = sk.roc_auc_score(labels == c, p[:, c])
        expected[f"recall/{name}"] = sk.recall_score(labels, predicted, **one)
        expected[f"precision/{name}"] = sk.precision_score(labels, predicted, **one)
    expected["macro_auc"] = np.mean([expected[f"auc/{name}"] for name in NAMES])
    pairs = [(0, 1), (0, 2), (1, 2)]
    for i, j in pairs:
        among = (labels == i) | (labels == j)
        share = p[among, i] / (p[among, i] + p[among, j])
        expected[pair_name(NAMES, i, j)] = sk.roc_auc_score(labels[among] == i, share)
    expected["pairwise_auc"] = np.mean([expected[pair_name(NAMES, *pair)] for pair in pairs])
    return expected


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_a_weighted_row_equals_scikit_learn_on_repeated_images(seed: int) -> None:
    labels, p = sample(60, seed)
    weights = np.random.default_rng([seed, 1]).integers(0, 3, 60)
    statistics, _ = class_statistics(labels, p, NAMES)
    found = statistics(weights[None].astype(float))
    rows = np.repeat(np.arange(60), weights)
    expected = by_scikit_learn(labels[rows], p[rows])
    assert {name: v[0] for name, v in found.items()} == pytest.approx(expected, nan_ok=True)
    assert class_metrics(labels[rows], p[rows], NAMES) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], {"class_accuracy": math.nan, "macro_auc": math.nan, "kappa": math.nan}),
        (
            [1],
            {
                "class_accuracy": 1.0,
                "macro_auc": math.nan,
                "balanced_accuracy": 1.0,
                "kappa": math.nan,
                "recall/NORMAL": math.nan,
                "auc/NORMAL": math.nan,
            },
        ),
        (
            [1, 2, 1],
            {
                "class_accuracy": 1.0,
                "macro_auc": math.nan,
                "auc/BACTERIA|VIRUS": 1.0,
                "auc/NORMAL|VIRUS": math.nan,
                "pairwise_auc": 1.0,
            },
        ),
    ],
)
def test_missing_classes(labels: list[int], expected: dict[str, float]) -> None:
    y = np.array(labels, int)
    found = class_metrics(y, np.eye(3)[y].reshape(len(y), 3), NAMES, pair=(1, 2))
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert confusion_matrix(y, y, 3).sum() == len(y)


def test_confusion_matrix_has_the_true_class_in_rows() -> None:
    assert confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 1]), 3).tolist() == [
        [1, 1, 0],
        [0, 0, 0],
        [0, 1, 0],
    ]


def test_perfect_shares_have_exact_bounds() -> None:
    labels, _ = sample(240)
    statistics, shares = class_statistics(labels, np.eye(3)[labels], NAMES)
    groups = np.arange(240) // 3
    found = clustered_bootstrap(statistics, groups, shares=shares, resamples=100, seed=0)
    assert found["class_accuracy"].exact
    assert found["class_accuracy"].low == pytest.approx(0.025 ** (1 / 80))
    assert found["recall/VIRUS"].exact
    assert found["recall/VIRUS"].low < found["class_accuracy"].low


@pytest.mark.parametrize(
    ("labels", "p", "message"),
    [
        ([0, 3], np.full((2, 3), 1 / 3), "label 3 at index 1"),
        ([0, -1], np.full((2, 3), 1 / 3), "label -1 at index 1"),
        ([0], np.full((2, 3), 1 / 3), "differ in length"),
        ([0, 1], np.array([[1, 0, 0], [0, math.nan, 0]]), "at index 1 contain NaN"),
        ([0], np.ones((1, 2)), "3 class names"),
    ],
)
def test_bad_input(labels: list[int], p: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_metrics(np.array(labels), p, NAMES)


def test_the_predicted_class_may_follow_the_operating_point() -> None:
    labels, p = sample(200)
    found = class_metrics(labels, p, NAMES, predicted=np.zeros(200, int))
    assert found["class_accuracy"] == pytest.approx((labels == 0).mean())
    assert found["recall/NORMAL"] == 1.0
    assert math.isnan(found["precision/VIRUS"])
    assert found["macro_auc"] == class_metrics(labels, p, NAMES)["macro_auc"]
