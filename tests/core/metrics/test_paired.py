import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm
from sklearn.metrics import roc_auc_score

from core.metrics.boxes.challenge import challenge_scores
from core.metrics.paired import (
    PairedTest,
    bootstrap_difference,
    delong_clustered,
    delong_folds,
    mcnemar_clustered,
    placements,
)
from tests.support.boxes import synthetic_boxes

NAN = math.nan


def two_models(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 > 0).astype(int)
    common = 1.5 * labels + rng.normal(0, 1, n)
    a, b = common + rng.normal(0, 0.7, n), common + rng.normal(0, 0.7, n)
    return labels, np.round(a, 1), np.round(b, 1)  # rounded: ties


def kernel(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """1 where a positive ranks above a negative, 1/2 where they tie: [positives, negatives]."""
    x, y = scores[labels == 1][:, None], scores[labels == 0][None]
    return (x > y) + 0.5 * (x == y)


def delong(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> PairedTest:
    """Each image is of a patient of its own."""
    return delong_clustered(labels, a, b, np.arange(len(labels)))


def by_definition(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Variance of the difference of areas from the covariance matrices of DeLong et al. (1988)."""
    psi = [kernel(labels, a), kernel(labels, b)]
    s10 = np.cov([k.mean(axis=1) for k in psi])
    s01 = np.cov([k.mean(axis=0) for k in psi])
    s = s10 / psi[0].shape[0] + s01 / psi[0].shape[1]
    return float(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@settings(max_examples=40)
@given(st.integers(6, 60), st.integers(0, 10_000))
def test_delong_is_its_definition(n: int, seed: int) -> None:
    labels, a, b = two_models(n, seed)
    found = delong(labels, a, b)
    assert found.a == pytest.approx(roc_auc_score(labels, a))
    assert found.b == pytest.approx(roc_auc_score(labels, b))
    assert found.se**2 == pytest.approx(by_definition(labels, a, b), abs=1e-12)
    if found.se > 1e-9:
        assert found.z == pytest.approx(found.difference / found.se)
        assert found.p == pytest.approx(2 * norm.sf(abs(found.z)))
        assert found.p_worse == pytest.approx(norm.cdf(found.z))
    swapped = delong(labels, b, a)
    assert swapped.difference == pytest.approx(-found.difference, abs=1e-12)
    assert swapped.p == pytest.approx(found.p)
    area, part = placements(labels, a)
    psi = kernel(labels, a)
    assert part[labels == 1] == pytest.approx(psi.mean(axis=1))
    assert part[labels == 0] == pytest.approx(psi.mean(axis=0))
    assert area == pytest.approx(psi.mean())


def test_clustered_delong_by_hand() -> None:
    """The three sums of Obuchowski (1997), with patients that have images of both classes."""
    labels, a, b = two_models(90, 1)
    groups = np.random.default_rng(1).integers(0, 30, 90)
    found = delong_clustered(labels, a, b, groups)
    psi = kernel(labels, a) - kernel(labels, b)
    theta, (m, n) = psi.mean(), psi.shape
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
    many, patients = [np.tile(row, 4) for row in (labels, a, b)], np.tile(np.arange(90), 4)
    assert delong_clustered(*many, patients).se == pytest.approx(once.se, rel=1e-6)
    assert delong(*many).se < 0.6 * once.se
    right = [(row > 1) == labels for row in (a, b)]
    tiled = [np.tile(row, 4) for row in right]
    once = mcnemar_clustered(*right, np.arange(90))
    assert mcnemar_clustered(*tiled, patients).p == pytest.approx(once.p)
    good, bad = challenge(40, blur=0.03), challenge(40, blur=0.05, model_seed=1)
    once = bootstrap_difference(bad, good, np.arange(40))
    copied = bootstrap_difference(bad.repeat(5), good.repeat(5), np.arange(40).repeat(5))
    assert copied.se == pytest.approx(once.se, rel=0.1)


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 0), (1, 0), (0, 5), (5, 5), (3, 9), (2, 11), (40, 60)]
)
def test_mcnemar_against_the_binomial_test(only_a: int, only_b: int) -> None:
    a = np.array([True] * only_a + [False] * only_b + [True] * 5 + [False] * 2)
    b = np.array([False] * only_a + [True] * only_b + [True] * 5 + [False] * 2)
    found = mcnemar_clustered(a, b, np.arange(len(a)))
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert (found.a, found.b) == pytest.approx((a.mean(), b.mean()))
    total = only_a + only_b
    if not total:
        assert (found.p, found.p_worse) == (1.0, 1.0)
        return
    here = binom.pmf(only_a, total, 0.5)
    p = binomtest(only_a, total, 0.5).pvalue - here if only_a != only_b else 1.0
    p_worse = binomtest(only_a, total, 0.5, alternative="less").pvalue - here / 2
    exact = total < 16  # all signs are enumerated
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
    assert found.method == "McNemar by patient, Durkalski"
    assert (found.only_a, found.only_b, found.n, found.clusters) == (12, 12, 40, 20)
    assert found.se == pytest.approx(math.sqrt(12 * 1 + 6 * 4) / 40)


def study(seed: int, gap: float) -> tuple[np.ndarray, ...]:
    """100 patients of 1 to 3 images that share an effect, and two models that share it too."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(100), rng.integers(1, 4, 100))
    labels = (groups % 5 < 3).astype(int)
    effect, n = rng.normal(0, 0.8, (100, 3)), len(groups)
    common = 1.4 * labels + effect[groups, 0] + rng.normal(0, 0.5, n)
    a = common + effect[groups, 1] + rng.normal(0, 0.3, n)
    b = common + effect[groups, 2] + rng.normal(0, 0.3, n) + gap * labels
    return labels, a, b, groups


def test_size_under_the_null_and_power() -> None:
    """Of 400 studies without a difference, one-sided 5 % tests reject about 5 %."""
    worse = {"delong": 0, "mcnemar": 0, "naive": 0}
    for seed in range(400):
        labels, a, b, groups = study(seed, 0.0)
        worse["delong"] += delong_clustered(labels, a, b, groups).p_worse < 0.05
        worse["naive"] += delong(labels, a, b).p_worse < 0.05
        right = [(row > 0.7) == labels for row in (a, b)]
        worse["mcnemar"] += mcnemar_clustered(*right, groups).p_worse < 0.05
    assert 0.03 <= worse["delong"] / 400 <= 0.08, worse
    assert 0.02 <= worse["mcnemar"] / 400 <= 0.08, worse
    assert worse["naive"] > worse["delong"] + 6  # images taken for patients reject too often
    assert sum(delong_clustered(*study(seed, 1.5)).p_worse < 0.05 for seed in range(50)) > 45
    rng = np.random.default_rng(0)
    p = [
        bootstrap_difference(*rng.random((2, 60)), np.arange(60), resamples=200, seed=i).p_worse
        for i in range(200)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(
    ("labels", "a", "b"),
    [([], [], []), ([1, 1], [0.1, 0.2], [0.3, 0.1]), ([0, 0, 0], [1, 2, 3], [1, 2, 3])],
)
def test_delong_without_both_classes(labels: list, a: list, b: list) -> None:
    found = delong(np.array(labels, int), np.array(a, float), np.array(b, float))
    assert np.isnan([found.a, found.difference, found.p, found.p_worse]).all()


def test_degenerate_pairs() -> None:
    labels = np.array([0, 0, 1, 1])
    good, bad = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.9, 0.8, 0.2, 0.1])
    same = delong(labels, good, good)
    assert (same.difference, same.se, same.p, same.p_worse) == (0.0, 0.0, 1.0, 1.0)
    assert delong(labels, bad, good).p_worse == 0.0
    assert delong(labels, good, bad).p_worse == 1.0
    one = delong_clustered(labels, good, bad, np.array(["p", "p", "q", "q"]))
    assert one.difference == 1.0
    assert math.isnan(one.p)  # one patient of each class: the variance is undefined
    none = mcnemar_clustered(np.array([], bool), np.array([], bool), np.array([]))
    assert math.isnan(none.p)
    equal = mcnemar_clustered(np.array([True, False]), np.array([False, True]), np.array([1, 1]))
    assert equal.p == equal.p_worse == 1.0


def test_bad_input() -> None:
    labels, a, b = two_models(9, 0)
    with pytest.raises(ValueError, match="1-D and of equal length"):
        delong(labels, a[:-1], b)
    with pytest.raises(ValueError, match="is not a number"):
        delong(labels, np.where(np.arange(9) == 4, np.nan, a), b)
    with pytest.raises(ValueError):
        delong_clustered(labels, a, b, np.arange(8))
    with pytest.raises(ValueError):
        mcnemar_clustered(np.ones(1, bool), np.ones(1, bool), np.array([1, 2]))


def challenge(n: int = 200, **how: float) -> np.ndarray:
    return challenge_scores(*synthetic_boxes(n, 0, **how))


def test_bootstrap_finds_a_worse_model_and_not_a_better_or_equal_one() -> None:
    good, bad = challenge(blur=0.01), challenge(blur=0.08, model_seed=1)
    worse = bootstrap_difference(bad, good, np.arange(200))
    better = bootstrap_difference(good, bad, np.arange(200))
    assert worse.difference == pytest.approx(-better.difference)
    assert worse.p_worse < 0.01
    assert better.p_worse > 0.99
    same = bootstrap_difference(good, good, np.arange(200))
    assert (same.difference, same.p_worse, same.se) == (0, 1, 0)


def test_bootstrap_counts_an_image_for_one_model_only() -> None:
    # The first model has a false box on the healthy third image; the second has none.
    found = bootstrap_difference(
        np.array([1, 0.5, 0]), np.array([1, 0.5, NAN]), np.array(["a", "b", "c"])
    )
    assert (found.a, found.b, found.n, found.clusters) == (0.5, 0.75, 3, 3)


@pytest.mark.parametrize(
    ("a", "b", "groups"),
    [
        ([], [], []),
        ([NAN], [NAN], ["a"]),
        ([1.0], [0.5], ["a"]),
        ([1.0, 0.5], [0.5, 0.5], ["a", "a"]),
        ([1.0, 1.0], [NAN, NAN], ["a", "b"]),
    ],
)
def test_bootstrap_is_undefined_without_two_patients(a: list, b: list, groups: list) -> None:
    assert math.isnan(bootstrap_difference(np.array(a), np.array(b), np.array(groups)).p_worse)


def test_mean_of_one_fold_is_delong_by_patient() -> None:
    labels, a, b = two_models(240, 3)
    groups = np.arange(240) // 2
    one = delong_folds(labels, a, b, np.zeros(240), groups)
    expected = delong_clustered(labels, a, b, groups)
    assert (one.a, one.b) == pytest.approx((expected.a, expected.b))
    # Other factors for small samples.
    assert one.se == pytest.approx(expected.se, rel=0.02)
    assert one.p == pytest.approx(expected.p, abs=0.02)


def test_mean_of_folds_that_share_patients() -> None:
    labels, a, b = two_models(120, 4)
    groups = np.arange(120) // 2
    double = [np.concatenate([x, x]) for x in (labels, a, b, groups)]
    folds = np.repeat([0, 1], 120)
    one = delong_folds(labels, a, b, np.zeros(120), groups)
    # The same images twice are no more evidence than once.
    twice = delong_folds(double[0], double[1], double[2], folds, double[3])
    assert (twice.difference, twice.se, twice.p) == pytest.approx((one.difference, one.se, one.p))


@pytest.mark.parametrize(
    "labels, folds, groups",
    [
        ([0, 1, 1, 1], [0, 0, 1, 1], [0, 1, 2, 3]),
        ([0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]),
        ([], [], []),
    ],
)
def test_undefined_mean_of_folds(labels: list[int], folds: list[int], groups: list[int]) -> None:
    scores = np.linspace(0, 1, len(labels))
    test = delong_folds(np.array(labels), scores, scores, np.array(folds), np.array(groups))
    assert math.isnan(test.p)


def test_level_of_the_mean_of_folds() -> None:
    """Two models of the same skill differ significantly in about 5 % of samples."""
    rejected = 0
    for seed in range(200):
        labels, a, b = two_models(150, seed)
        folds = np.arange(150) % 2
        rejected += delong_folds(labels, a, b, folds, np.arange(150)).p < 0.05
    assert 2 <= rejected <= 20
