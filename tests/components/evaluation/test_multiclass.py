import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from components.evaluation.bootstrap import clustered_bootstrap
from components.evaluation.multiclass import (
    class_metrics,
    class_shares,
    class_statistics,
    clustered_bootstrap_of,
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


def test_against_scikit_learn() -> None:
    labels, p = sample(300)
    found = class_metrics(labels, p, NAMES, pair=(1, 2))
    called = p.argmax(axis=1)
    assert found["class_accuracy"] == pytest.approx(sk.accuracy_score(labels, called))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, called))
    assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(labels, called))
    one_vs_rest = [sk.roc_auc_score(labels == c, p[:, c]) for c in range(3)]
    assert found["macro_auc"] == pytest.approx(np.mean(one_vs_rest))
    for c, name in enumerate(NAMES):
        assert found[f"auc/{name}"] == pytest.approx(one_vs_rest[c])
        assert found[f"recall/{name}"] == pytest.approx(
            sk.recall_score(labels, called, labels=[c], average="micro")
        )
        assert found[f"precision/{name}"] == pytest.approx(
            sk.precision_score(labels, called, labels=[c], average="micro")
        )
    among = labels > 0
    share = p[among, 1] / (p[among, 1] + p[among, 2])
    pair = sk.roc_auc_score(labels[among] == 1, share)
    assert found[pair_name(NAMES, 1, 2)] == pytest.approx(pair)
    assert found["pairwise_auc"] == pytest.approx(pair)
    every = class_metrics(labels, p, NAMES)
    names = [pair_name(NAMES, i, j) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert every["pairwise_auc"] == pytest.approx(np.mean([every[name] for name in names]))
    assert (confusion_matrix(labels, called, 3) == sk.confusion_matrix(labels, called)).all()


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([2, 3, 4]))
def test_a_weighted_row_equals_the_metrics_of_the_repeated_images(
    n: int, seed: int, classes: int
) -> None:
    labels, p = sample(n, seed, classes)
    names = [f"C{c}" for c in range(classes)]
    weights = np.random.default_rng(seed).integers(0, 3, n)
    found = class_statistics(labels, p, names)(weights[None].astype(float))
    rows = np.repeat(np.arange(n), weights)
    expected = class_metrics(labels[rows], p[rows], names)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, nan_ok=True, abs=1e-9), name


def test_two_classes_are_the_binary_numbers() -> None:
    labels, p = sample(200, classes=2)
    p = p / p.sum(axis=1, keepdims=True)
    groups = np.arange(200) // 2
    found = clustered_bootstrap_of(
        class_statistics(labels, p, ("N", "P")), groups, resamples=200, seed=3
    )
    binary = clustered_bootstrap(labels, p[:, 1], groups, 0.5, resamples=200, seed=3)
    assert found["auc/P"] == binary["auc"]
    assert found["recall/P"].estimate == pytest.approx(binary["sensitivity"].estimate, abs=0.05)
    assert found["pairwise_auc"].estimate == pytest.approx(binary["auc"].estimate)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], {"class_accuracy": math.nan, "macro_auc": math.nan, "kappa": math.nan}),
        ([1], {"class_accuracy": 1.0, "macro_auc": math.nan, "balanced_accuracy": 1.0,
               "kappa": math.nan, "recall/NORMAL": math.nan, "auc/NORMAL": math.nan}),
        ([1, 2, 1], {"class_accuracy": 1.0, "macro_auc": math.nan, "auc/BACTERIA|VIRUS": 1.0,
                     "auc/NORMAL|VIRUS": math.nan, "pairwise_auc": 1.0}),
    ],
)  # fmt: skip
def test_missing_classes(labels: list[int], expected: dict[str, float]) -> None:
    y = np.array(labels, int)
    p = np.eye(3)[y].reshape(len(y), 3)
    found = class_metrics(y, p, NAMES, pair=(1, 2))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True), name
    assert confusion_matrix(y, y, 3).sum() == len(y)


def test_intervals_hold_the_estimate_and_perfect_shares_have_exact_bounds() -> None:
    labels, p = sample(240)
    groups = np.arange(240) // 3
    statistics = class_statistics(labels, p, NAMES)
    found = clustered_bootstrap_of(statistics, groups, resamples=400, seed=0)
    for name, interval in found.items():
        assert interval.low <= interval.estimate <= interval.high, name
    assert found == clustered_bootstrap_of(statistics, groups, resamples=400, seed=0)
    sure = np.eye(3)[labels]
    found = clustered_bootstrap_of(
        class_statistics(labels, sure, NAMES),
        groups,
        shares=class_shares(labels, labels, NAMES),
        resamples=100,
        seed=0,
    )
    assert found["class_accuracy"].exact
    assert found["class_accuracy"].low == pytest.approx(0.025 ** (1 / 80))
    assert found["recall/VIRUS"].exact
    assert found["recall/VIRUS"].low < found["class_accuracy"].low


@pytest.mark.parametrize(
    ("labels", "p", "says"),
    [
        ([0, 3], np.full((2, 3), 1 / 3), "label 3 at 1"),
        ([0, -1], np.full((2, 3), 1 / 3), "label -1 at 1"),
        ([0], np.full((2, 3), 1 / 3), "do not belong"),
        ([0, 1], np.array([[1, 0, 0], [0, math.nan, 0]]), "at 1 are not all"),
    ],
)
def test_bad_input(labels: list[int], p: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        class_metrics(np.array(labels), p, NAMES)


def test_no_images_have_no_interval() -> None:
    none = class_statistics(np.zeros(0, int), np.zeros((0, 3)), NAMES)
    with pytest.raises(ValueError, match="no images"):
        clustered_bootstrap_of(none, np.zeros(0), seed=0)
    with pytest.raises(ValueError, match="2 class names"):
        class_statistics(np.zeros(1, int), np.ones((1, 3)), ("A", "B"))


def test_the_answered_class_may_follow_the_operating_point() -> None:
    labels, p = sample(200)
    called = np.zeros(200, int)
    found = class_metrics(labels, p, NAMES, predicted=called)
    assert found["class_accuracy"] == pytest.approx((labels == 0).mean())
    assert found["recall/NORMAL"] == 1.0
    assert math.isnan(found["precision/VIRUS"])
    assert found["macro_auc"] == class_metrics(labels, p, NAMES)["macro_auc"]
