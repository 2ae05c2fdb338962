"""Comparison of the score distributions of two splits.

Sensitivity and specificity on validation hold on test only if the scores of each class have the
same distribution.
"""

import math
from dataclasses import dataclass

import numpy as np

# Scores, patients and labels.
SplitScores = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ScoreShift:
    """Comparison of the scores of one class on two splits; NaN if a split has no image.

    Attributes:
      of: "negative" or "positive".
      ks: Kolmogorov-Smirnov distance, 0..1.
      distance: Wasserstein-1 distance, in units of the score.
      p: p-value of a permutation test of ks by patient; NaN if a split has fewer than two patients.
    """

    of: str
    val_images: int
    test_images: int
    val_median: float
    test_median: float
    ks: float
    distance: float
    p: float


def score_shift(
    val: SplitScores, test: SplitScores, *, permutations: int = 999, seed: int = 0
) -> list[ScoreShift]:
    """Compares the scores of validation and test within each class.

    Each permutation reassigns whole patients to the two splits. p is (1 + number of permutations
    with at least the observed ks) / (1 + permutations) (Phipson & Smyth, 2010).

    Args:
      val: scores float [n]; patients [n]; labels int [n] of 0, 1 and -1 (ignored).
      test: the same. Equal patient values on validation and test mean different patients.
      permutations: number of permutations.
      seed: seed of the permutations.

    Returns:
      One entry for the negative and one for the positive class.
    """
    from scipy.stats import wasserstein_distance

    splits = [(np.asarray(s, np.float64), np.asarray(g), np.asarray(y)) for s, g, y in (val, test)]
    rng = np.random.default_rng(seed)
    shifts = []
    for name, label in (("negative", 0), ("positive", 1)):
        (a, a_groups), (b, b_groups) = ((s[y == label], g[y == label]) for s, g, y in splits)
        ks = distance = p = math.nan
        if len(a) and len(b):
            ks, p = _permuted(a, b, a_groups, b_groups, permutations, rng)
            distance = float(wasserstein_distance(a, b))
        medians = [float(np.median(s)) if len(s) else math.nan for s in (a, b)]
        shifts.append(ScoreShift(name, len(a), len(b), medians[0], medians[1], ks, distance, p))
    return shifts


def shift_warnings(
    shifts: list[ScoreShift], names: tuple[str, str] = ("negative", "positive"), alpha: float = 0.05
) -> list[str]:
    """Returns a line for each class whose scores differ, at level alpha (Bonferroni-corrected)."""
    shown = dict(zip(("negative", "positive"), names, strict=True))
    return [
        f"The scores of {shown[shift.of]} images differ between validation and test (median "
        f"{shift.val_median:.3f} and {shift.test_median:.3f}, KS {shift.ks:.2f}, p "
        f"{f'{shift.p:.3f}' if shift.p > 0.001 else 'at most 0.001'}): sensitivity "
        "and specificity on test may differ from validation."
        for shift in shifts
        if shift.p <= alpha / len(shifts)
    ]


def _permuted(
    val: np.ndarray,
    test: np.ndarray,
    val_groups: np.ndarray,
    test_groups: np.ndarray,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Returns the KS distance and its permutation p; vectorized, unlike scipy.stats."""
    val_ids, val_patient = np.unique(val_groups, return_inverse=True)
    test_ids, test_patient = np.unique(test_groups, return_inverse=True)
    pooled = np.concatenate([val, test])
    order = np.argsort(pooled, kind="stable")
    last = np.append(np.flatnonzero(np.diff(pooled[order])), len(pooled) - 1)
    patient = np.concatenate([val_patient, test_patient + len(val_ids)])[order]
    in_val = np.arange(len(val_ids) + len(test_ids)) < len(val_ids)

    def distances(in_val: np.ndarray) -> np.ndarray:
        """Computes KS [r] for assignments bool [r, patients]."""
        below = np.cumsum(in_val[:, patient], axis=1, dtype=np.float64)[:, last]
        total = below[:, -1:]
        gap = below / total - (last + 1 - below) / (len(patient) - total)
        return np.asarray(np.abs(gap).max(axis=1))

    observed = float(distances(in_val[None])[0])
    if min(len(val_ids), len(test_ids)) < 2:
        return observed, math.nan
    as_large = 0
    chunk = max(1, 4_000_000 // len(patient))
    for start in range(0, permutations, chunk):
        rows = min(chunk, permutations - start)
        drawn = rng.permuted(np.tile(in_val, (rows, 1)), axis=1)
        as_large += int((distances(drawn) >= observed - 1e-12).sum())
    return observed, (1 + as_large) / (1 + permutations)
