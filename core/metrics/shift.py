"""Comparison of the scores of two splits.

A threshold chosen on validation keeps its sensitivity and specificity on test only where the scores
within each class are distributed alike.
"""

import math
from dataclasses import dataclass

import numpy as np

# Scores, patients and labels.
SplitScores = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ScoreShift:
    """The scores of one class on two splits; NaN where a split has no image.

    Attributes:
      of: "negative" or "positive".
      ks: Kolmogorov-Smirnov distance, 0..1.
      distance: Wasserstein-1 distance, in units of the score.
      p: permutation p of ks, by patient; NaN where a split has fewer than two patients.
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

    The permutations deal whole patients anew to the two splits, as images of one patient are
    dependent; p is (1 + permutations at least as far) / (1 + permutations) (Phipson & Smyth 2010).

    Args:
      val: scores float [n]; patients [n], equal values are one patient; labels int [n] of 0, 1 and
        -1, which is left out.
      test: the same; a patient of test is never one of validation, whatever the value.
      permutations: number of permutations.
      seed: of the permutations.

    Returns:
      the negatives, then the positives.
    """
    from scipy.stats import wasserstein_distance

    splits = [(np.asarray(s, np.float64), np.asarray(g), np.asarray(y)) for s, g, y in (val, test)]
    rng = np.random.default_rng(seed)
    found = []
    for name, label in (("negative", 0), ("positive", 1)):
        (a, a_groups), (b, b_groups) = ((s[y == label], g[y == label]) for s, g, y in splits)
        ks = distance = p = math.nan
        if len(a) and len(b):
            ks, p = _permuted(a, b, a_groups, b_groups, permutations, rng)
            distance = float(wasserstein_distance(a, b))
        medians = [float(np.median(s)) if len(s) else math.nan for s in (a, b)]
        found.append(ScoreShift(name, len(a), len(b), medians[0], medians[1], ks, distance, p))
    return found


def shift_warnings(
    shifts: list[ScoreShift], names: tuple[str, str] = ("negative", "positive"), alpha: float = 0.05
) -> list[str]:
    """Returns a line for each class whose scores differ, at level alpha over both (Bonferroni)."""
    shown = dict(zip(("negative", "positive"), names, strict=True))
    return [
        f"The scores of {shown[shift.of]} images differ between validation and test (median "
        f"{shift.val_median:.3f} and {shift.test_median:.3f}, KS {shift.ks:.2f}, p "
        f"{f'{shift.p:.3f}' if shift.p > 0.001 else 'at most 0.001'}): what the threshold showed "
        "on validation need not hold on test."
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
    """KS distance and its permutation p; all permutations at once, which scipy.stats cannot."""
    val_ids, val_patient = np.unique(val_groups, return_inverse=True)
    test_ids, test_patient = np.unique(test_groups, return_inverse=True)
    pooled = np.concatenate([val, test])
    order = np.argsort(pooled, kind="stable")
    last = np.append(np.flatnonzero(np.diff(pooled[order])), len(pooled) - 1)
    patient = np.concatenate([val_patient, test_patient + len(val_ids)])[order]
    in_val = np.arange(len(val_ids) + len(test_ids)) < len(val_ids)

    def distances(in_val: np.ndarray) -> np.ndarray:
        """Bool [r, patients] -> KS [r]."""
        below = np.cumsum(in_val[:, patient], axis=1, dtype=np.float64)[:, last]
        total = below[:, -1:]
        gap = below / total - (last + 1 - below) / (len(patient) - total)
        return np.asarray(np.abs(gap).max(axis=1))

    seen = float(distances(in_val[None])[0])
    if min(len(val_ids), len(test_ids)) < 2:
        return seen, math.nan
    as_far = 0
    chunk = max(1, 4_000_000 // len(patient))
    for start in range(0, permutations, chunk):
        rows = min(chunk, permutations - start)
        drawn = rng.permuted(np.tile(in_val, (rows, 1)), axis=1)
        as_far += int((distances(drawn) >= seen - 1e-12).sum())
    return seen, (1 + as_far) / (1 + permutations)
