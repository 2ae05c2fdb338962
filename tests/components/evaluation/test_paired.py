import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm
from sklearn.metrics import roc_auc_score

from components.evaluation.paired import (
    PairedAuc,
    delong_clustered,
    mcnemar_clustered,
    placements,
)


def two_models(n: int, seed: int, better: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 > 0).astype(int)
    common = 1.5 * labels + rng.normal(0, 1, n)
    a = common + rng.normal(0, 0.7, n) + better * labels
    b = common + rng.normal(0, 0.7, n)
    return labels, np.round(a, 1), np.round(b, 1)  # rounded: ties


def kernel(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """1 where a positive stands above a negative, 1/2 where they tie: [positives, negatives]."""
    x, y = scores[labels == 1][:, None], scores[labels == 0][None]
    return (x > y) + 0.5 * (x == y)


def delong(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> PairedAuc:
    """As if every image were of a patient of its own."""
    return delong_clustered(labels, a, b, np.arange(len(labels)))


def by_definition(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Variance of the difference of areas from the covariance matrices of DeLong et al. (1988)."""
    psi = [kernel(labels, a), kernel(labels, b)]
    s10 = np.cov([k.mean(axis=1) for k in psi])
    s01 = np.cov([k.mean(axis=0) for k in psi])
    s = s10 / psi[0].shape[0] + s01 / psi[0].shape[1]
    return float(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@settings(max_examples=60)
@given(st.integers(6, 60), st.integers(0, 10_000))
def test_delong_is_its_definition(n: int, seed: int) -> None:
    labels, a, b = two_models(n, seed)
    found = delong(labels, a, b)
    assert found.auc_a == pytest.approx(roc_auc_score(labels, a))
    assert found.auc_b == pytest.approx(roc_auc_score(labels, b))
    assert found.se**2 == pytest.approx(by_definition(labels, a, b), abs=1e-12)
    if found.se > 1e-9:
        assert found.p == pytest.approx(2 * norm.sf(abs(found.difference / found.se)))
        assert found.p_worse == pytest.approx(norm.cdf(found.z))
    area, part = placements(labels, a)
    psi = kernel(labels, a)
    assert part[labels == 1] == pytest.approx(psi.mean(axis=1))
    assert part[labels == 0] == pytest.approx(psi.mean(axis=0))
    assert area == pytest.approx(psi.mean())


@settings(max_examples=30)
@given(st.integers(6, 40), st.integers(0, 10_000))
def test_models_swap_with_the_sign(n: int, seed: int) -> None:
    labels, a, b = two_models(n, seed)
    one, two = delong(labels, a, b), delong(labels, b, a)
    assert one.difference == pytest.approx(-two.difference, abs=1e-12)
    assert one.p == pytest.approx(two.p)
    right_a, right_b = (a > 1) == labels, (b > 1) == labels
    groups = np.arange(n) // 2
    one_m, two_m = (
        mcnemar_clustered(right_a, right_b, groups),
        mcnemar_clustered(right_b, right_a, groups),
    )
    assert one_m.p == pytest.approx(two_m.p)
    if one_m.only_a + one_m.only_b and one_m.method != "no patient differs":
        assert one_m.p_worse + two_m.p_worse == pytest.approx(1.0)


def test_a_clustered_delong_by_hand() -> None:
    """The three sums of Obuchowski (1997), with patients that have images of both classes."""
    rng = np.random.default_rng(1)
    labels, a, b = two_models(90, 1)
    groups = rng.integers(0, 30, 90)
    found = delong_clustered(labels, a, b, groups)
    psi = kernel(labels, a) - kernel(labels, b)
    theta = psi.mean()
    m, n = psi.shape
    of_x, of_y = groups[labels == 1], groups[labels == 0]
    patients = np.unique(groups)
    x = np.array([(psi.mean(axis=1)[of_x == g] - theta).sum() for g in patients])
    y = np.array([(psi.mean(axis=0)[of_y == g] - theta).sum() for g in patients])
    i10, i01, i = len(set(of_x)), len(set(of_y)), len(patients)
    s10 = i10 / ((i10 - 1) * m) * (x**2).sum()
    s01 = i01 / ((i01 - 1) * n) * (y**2).sum()
    s11 = i / (i - 1) * (x * y).sum()
    assert found.se**2 == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n))
    assert found.clusters == i


def test_copies_of_images_add_no_certainty() -> None:
    labels, a, b = two_models(90, 3)
    once = delong(labels, a, b)
    times = 4
    many = [np.tile(row, times) for row in (labels, a, b)]
    patients = np.tile(np.arange(90), times)
    assert delong_clustered(*many, patients).se == pytest.approx(once.se, rel=1e-6)
    assert delong(*many).se < 0.6 * once.se
    right = [(row > 1) == labels for row in (a, b)]
    tiled = [np.tile(row, times) for row in right]
    assert mcnemar_clustered(*tiled, patients).p == pytest.approx(
        mcnemar_clustered(*right, np.arange(90)).p
    )


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 0), (1, 0), (0, 5), (5, 5), (3, 9), (2, 11), (40, 60)]
)
def test_mcnemar_against_the_binomial_test(only_a: int, only_b: int) -> None:
    a = np.array([True] * only_a + [False] * only_b + [True] * 5 + [False] * 2)
    b = np.array([False] * only_a + [True] * only_b + [True] * 5 + [False] * 2)
    found = mcnemar_clustered(a, b, np.arange(len(a)))
    assert (found.only_a, found.only_b) == (only_a, only_b)
    total = only_a + only_b
    if not total:
        assert (found.p, found.p_worse) == (1.0, 1.0)
        return
    here = binom.pmf(only_a, total, 0.5)
    p = binomtest(only_a, total, 0.5).pvalue - here if only_a != only_b else 1.0
    p_worse = binomtest(only_a, total, 0.5, alternative="less").pvalue - here / 2
    exact = total < 16  # all signs are tried
    assert found.p == pytest.approx(p, abs=1e-9 if exact else 0.02)
    assert found.p_worse == pytest.approx(p_worse, abs=1e-9 if exact else 0.01)
    if not exact:
        assert found.z == pytest.approx((only_a - only_b) / math.sqrt(total))  # McNemar's own


def test_durkalski_by_hand() -> None:
    """20 patients of two images each: 12 where only b is right once, 6 where only a is, twice."""
    a = np.array([[False, True]] * 12 + [[True, True]] * 6 + [[True, False]] * 2).ravel()
    b = np.array([[True, True]] * 12 + [[False, False]] * 6 + [[True, False]] * 2).ravel()
    found = mcnemar_clustered(a, b, np.repeat(np.arange(20), 2))
    assert found.z == pytest.approx((6 * 1.0 - 12 * 0.5) / math.sqrt(6 + 12 * 0.25))
    assert found.method == "Durkalski"
    assert (found.only_a, found.only_b, found.n, found.clusters) == (12, 12, 40, 20)
    assert found.se == pytest.approx(math.sqrt(12 * 1 + 6 * 4) / 40)


def study(seed: int, gap: float) -> tuple[np.ndarray, ...]:
    """100 patients of 1 to 3 images that share an effect, and two models that share it too."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(100), rng.integers(1, 4, 100))
    labels = (groups % 5 < 3).astype(int)
    rng_of = rng.normal(0, 0.8, (100, 3))
    n = len(groups)
    common = 1.4 * labels + rng_of[groups, 0] + rng.normal(0, 0.5, n)
    a = common + rng_of[groups, 1] + rng.normal(0, 0.3, n)
    b = common + rng_of[groups, 2] + rng.normal(0, 0.3, n) + gap * labels
    return labels, a, b, groups


def test_size_under_the_null_and_power() -> None:
    """Of 1000 studies without a difference, one-sided 5 % tests refuse about 5 %."""
    worse = {"delong": 0, "mcnemar": 0, "naive": 0}
    for seed in range(1000):
        labels, a, b, groups = study(seed, 0.0)
        worse["delong"] += delong_clustered(labels, a, b, groups).p_worse < 0.05
        worse["naive"] += delong(labels, a, b).p_worse < 0.05
        right = [(row > 0.7) == labels for row in (a, b)]
        worse["mcnemar"] += mcnemar_clustered(*right, groups).p_worse < 0.05
    assert 0.035 <= worse["delong"] / 1000 <= 0.07, worse
    assert 0.03 <= worse["mcnemar"] / 1000 <= 0.07, worse
    assert worse["naive"] > worse["delong"] + 15  # images taken for patients refuse too often
    found = sum(delong_clustered(*study(seed, 1.5)).p_worse < 0.05 for seed in range(100))
    assert found > 90


@pytest.mark.parametrize(
    ("labels", "a", "b"),
    [([], [], []), ([1, 1], [0.1, 0.2], [0.3, 0.1]), ([0, 0, 0], [1, 2, 3], [1, 2, 3])],
)
def test_delong_without_both_classes(labels: list, a: list, b: list) -> None:
    found = delong(np.array(labels, int), np.array(a, float), np.array(b, float))
    assert math.isnan(found.auc_a)
    assert math.isnan(found.p)
    assert math.isnan(found.p_worse)


def test_degenerate_pairs() -> None:
    labels = np.array([0, 0, 1, 1])
    good, bad = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.9, 0.8, 0.2, 0.1])
    same = delong(labels, good, good)
    assert (same.difference, same.se, same.p, same.p_worse) == (0.0, 0.0, 1.0, 1.0)
    assert delong(labels, bad, good).p_worse == 0.0
    assert delong(labels, good, bad).p_worse == 1.0
    one = delong_clustered(labels, good, bad, np.array(["p", "p", "q", "q"]))
    assert one.difference == 1.0
    assert math.isnan(one.p)  # one patient of each class: no spread to judge by
    none = mcnemar_clustered(np.array([], bool), np.array([], bool), np.array([]))
    assert math.isnan(none.p)
    equal = mcnemar_clustered(np.array([True, False]), np.array([False, True]), np.array([1, 1]))
    assert (equal.p, equal.method) == (1.0, "no patient differs")


def test_bad_input() -> None:
    labels, a, b = two_models(9, 0)
    with pytest.raises(ValueError, match="two equal rows"):
        delong(labels, a[:-1], b)
    with pytest.raises(ValueError, match="belong together"):
        delong_clustered(labels, a, b, np.arange(8))
    with pytest.raises(ValueError, match="is not a number"):
        delong(labels, np.where(np.arange(9) == 4, np.nan, a), b)
    with pytest.raises(ValueError, match="two equal rows"):
        mcnemar_clustered(np.array([True]), np.array([True, False]), np.array([1]))
    with pytest.raises(ValueError, match="belong together"):
        mcnemar_clustered(np.array([True]), np.array([True]), np.array([1, 2]))
