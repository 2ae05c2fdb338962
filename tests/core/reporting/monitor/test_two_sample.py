import numpy as np
import pytest

from core.reporting.monitor.two_sample import mmd, one_per_patient


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def definition(x: np.ndarray, y: np.ndarray) -> float:
    """Equation 3 of Gretton et al. 2012, as it stands there."""
    z = np.concatenate([x, y])
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    distance = ((z[:, None] - z[None]) ** 2).sum(axis=-1)
    kernel = np.exp(-distance / np.median(distance[np.triu_indices(len(z), 1)]))
    n, m = len(x), len(y)
    xx = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    inner = range(n, n + m)
    yy = sum(kernel[i, j] for i in inner for j in inner if i != j) / (m * (m - 1))
    xy = sum(kernel[i, j] for i in range(n) for j in inner) / (n * m)
    return float(xx + yy - 2 * xy)


def test_statistic_agrees_with_the_definition() -> None:
    x, y = rng(1).normal(size=(9, 4)), rng(2).normal(0.5, size=(6, 4))
    assert mmd(x, y, 99, rng()).statistic == pytest.approx(definition(x, y))


def test_level_and_power() -> None:
    same, moved = [], []
    for seed in range(60):
        draw = rng(seed)
        x, y = draw.normal(size=(40, 8)), draw.normal(size=(60, 8))
        same.append(mmd(x, y, 99, rng(seed)).p)
        moved.append(mmd(x + 0.8, y, 99, rng(seed)).p)
    # 60 uniform p-values: 13 or more at or below 0.1 happen once in 200 such tests.
    assert sum(p <= 0.1 for p in same) <= 12
    assert min(same) > 0
    assert max(moved) == 0.01
    wide, narrow = 2 * rng(1).normal(size=(60, 6)), rng(2).normal(size=(60, 6))
    assert mmd(wide, narrow, 199, rng()).p < 0.01


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_vectors(value: float) -> None:
    found = mmd(np.full((5, 3), value), np.full((6, 3), value), 99, rng())
    assert found.p == 1.0
    assert found.statistic == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [((1, 3), (5, 3)), ((5, 3), (0, 3)), ((5, 3), (5, 4))])
def test_too_few_vectors_are_rejected(a: tuple[int, int], b: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two sets"):
        mmd(np.zeros(a), np.zeros(b), 99, rng())


def test_one_vector_per_patient() -> None:
    patients = np.array(["a", "a", "b", "", "", "c", "a"])
    for seed in range(20):
        chosen = patients[one_per_patient(patients, 99, rng(seed))].tolist()
        assert sorted(chosen) == ["", "", "a", "b", "c"]
    assert len(one_per_patient(patients, 3, rng())) == 3
    assert len(one_per_patient(np.zeros(0, str), 3, rng())) == 0
    many = np.array(["a"] * 50 + ["b"])  # a patient of many images is not drawn more often
    first = [many[one_per_patient(many, 1, rng(seed))][0] for seed in range(200)]
    assert 70 <= first.count("b") <= 130
