"""Do the scores of test look like those of validation?

A threshold that was chosen on validation keeps its sensitivity and specificity on test only where
the scores within each class are distributed alike.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shift:
    """The scores of one class on two splits.

    Attributes:
      of: "negative" or "positive".
      val_images: how many.
      test_images: how many.
      val_median: median score; NaN without images.
      test_median: median score.
      ks: largest distance of the two distribution functions (Kolmogorov-Smirnov), 0..1.
      distance: mean distance of the two distributions (Wasserstein-1), in units of the score.
      p: that patients drawn at random into the two splits differ as much in ks; NaN where a split
        has fewer than two patients.
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
    val_scores: np.ndarray,
    test_scores: np.ndarray,
    val_groups: np.ndarray,
    test_groups: np.ndarray,
    val_labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> list[Shift]:
    """Compares the scores of validation and test within each class.

    p is from permutations that deal whole patients anew to the two splits, as images of one patient
    are not independent: (1 + permutations at least as far) / (1 + permutations), as in Phipson &
    Smyth (2010).

    Args:
      val_scores: float [n].
      test_scores: float [m].
      val_groups: [n], equal values are one patient.
      test_groups: [m]; a patient of test is never one of validation, whatever the value.
      val_labels: int [n] of 0, 1 and -1; -1 is left out.
      test_labels: int [m].
      permutations: how many.
      seed: of the permutations.

    Returns:
      one entry for the negatives, then one for the positives.

    Raises:
      ValueError: lengths differ.
    """
    from scipy.stats import wasserstein_distance

    splits = []
    for scores, groups, labels in (
        (val_scores, val_groups, val_labels),
        (test_scores, test_groups, test_labels),
    ):
        s, g, y = np.asarray(scores, np.float64), np.asarray(groups), np.asarray(labels)
        if not s.shape == g.shape == y.shape:
            raise ValueError(f"scores {s.shape}, groups {g.shape} and labels {y.shape} differ")
        splits.append((s, g, y))
    rng = np.random.default_rng(seed)
    found = []
    for name, label in (("negative", 0), ("positive", 1)):
        (val, of_val), (test, of_test) = [(s[y == label], g[y == label]) for s, g, y in splits]
        ks = distance = p = float("nan")
        if len(val) and len(test):
            ks, p = _permuted(val, test, of_val, of_test, permutations, rng)
            distance = float(wasserstein_distance(val, test))
        found.append(
            Shift(
                of=name,
                val_images=len(val),
                test_images=len(test),
                val_median=float(np.median(val)) if len(val) else float("nan"),
                test_median=float(np.median(test)) if len(test) else float("nan"),
                ks=ks,
                distance=distance,
                p=p,
            )
        )
    return found


def warnings(
    shifts: list[Shift], names: tuple[str, str] = ("negative", "positive"), alpha: float = 0.05
) -> list[str]:
    """A line for each class whose scores differ, at level alpha over both (Bonferroni).

    Args:
      shifts: of `score_shift`.
      names: of the negative and the positive side.
      alpha: level.
    """
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
    of_val: np.ndarray,
    of_test: np.ndarray,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    _, val_patient = np.unique(of_val, return_inverse=True)
    _, test_patient = np.unique(of_test, return_inverse=True)
    val_patients, test_patients = int(val_patient.max()) + 1, int(test_patient.max()) + 1
    patient = np.concatenate([val_patient, test_patient + val_patients])
    pooled = np.concatenate([val, test])
    order = np.argsort(pooled, kind="stable")
    last = np.append(np.flatnonzero(np.diff(pooled[order])), len(pooled) - 1)
    patient = patient[order]

    def distances(in_val: np.ndarray) -> np.ndarray:
        """in_val: bool [r, patients] -> KS [r]."""
        here = in_val[:, patient].astype(np.float64)
        below_val = np.cumsum(here, axis=1)[:, last]
        below_all = (last + 1).astype(np.float64)
        total = below_val[:, -1:]
        other = len(patient) - total
        gap = below_val / total - (below_all - below_val) / other
        return np.asarray(np.abs(gap).max(axis=1))

    patients = val_patients + test_patients
    seen = float(distances((np.arange(patients) < val_patients)[None])[0])
    if min(val_patients, test_patients) < 2:
        return seen, float("nan")
    as_far = 0
    chunk = max(1, 4_000_000 // len(patient))
    for start in range(0, permutations, chunk):
        rows = min(chunk, permutations - start)
        drawn = rng.permuted(np.tile(np.arange(patients) < val_patients, (rows, 1)), axis=1)
        as_far += int((distances(drawn) >= seen - 1e-12).sum())
    return seen, (1 + as_far) / (1 + permutations)
