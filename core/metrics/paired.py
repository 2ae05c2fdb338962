"""Tests of two models on the same images; the unit is the patient, whose images are dependent."""

import math
from dataclasses import dataclass, replace

import numpy as np

from core.metrics.binary import check_binary
from core.metrics.bootstrap import patient_weights

# Below so many patients who differ, all signs are enumerated instead of the normal approximation.
_FEW = 16


@dataclass(frozen=True)
class PairedTest:
    """Comparison of models a and b; a number that is undefined is NaN.

    Attributes:
      a: metric of the first model, `b` of the second.
      n: number of images, `clusters` of patients.
      se: standard error of the difference.
      z: difference / se where p is from the normal distribution.
      p: two-sided.
      p_worse: one-sided, that a is worse than b.
      only_a: number of images that a alone gets right, `only_b` b alone; of a test of decisions.
    """

    method: str
    a: float
    b: float
    n: int
    clusters: int
    se: float = math.nan
    z: float = math.nan
    p: float = math.nan
    p_worse: float = math.nan
    only_a: int = 0
    only_b: int = 0

    @property
    def difference(self) -> float:
        """a - b."""
        return self.a - self.b


def delong_clustered(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, groups: np.ndarray
) -> PairedTest:
    """DeLong's test of two areas under the ROC curve, clustered (Obuchowski 1997, Biometrics 53).

    The placements of each patient's images are summed; a patient may have images of both classes.
    With one image of each patient it is the test of DeLong, DeLong & Clarke-Pearson (1988,
    Biometrics 44). Placements come from midranks, O(n log n), as in Sun & Xu (2014, IEEE Signal
    Process. Lett. 21). Undefined with fewer than two patients of a class.

    Args:
      labels: int [n] of 0 and 1.
      a: scores of the first model, float [n].
      b: likewise of the second model.
      groups: [n], equal values are one patient.

    Raises:
      ValueError: lengths differ, or a bad label or score.
    """
    y, a = check_binary(labels, a)
    _, b = check_binary(labels, b)
    patients, cluster = np.unique(groups, return_inverse=True)
    clusters = len(patients)
    method, (n, m) = "DeLong by patient", np.bincount(y, minlength=2).tolist()
    if not m or not n:
        return PairedTest(method, math.nan, math.nan, len(y), clusters)
    (auc_a, placed_a), (auc_b, placed_b) = placements(y, a), placements(y, b)
    # Centred, so that a sum over a patient is V(X_i.) - m_i * theta of the paper.
    centred = placed_a - placed_b - (auc_a - auc_b)
    positive, negative = (
        np.bincount(cluster, weights=centred * (y == c), minlength=clusters) for c in (1, 0)
    )
    with_p, with_n = (len(np.unique(cluster[y == c])) for c in (1, 0))
    if min(with_p, with_n) < 2:
        return PairedTest(method, auc_a, auc_b, len(y), clusters)
    variance = (
        with_p / (with_p - 1) * (positive**2).sum() / m**2
        + with_n / (with_n - 1) * (negative**2).sum() / n**2
        + 2 * clusters / (clusters - 1) * (positive * negative).sum() / (m * n)
    )
    se = math.sqrt(max(float(variance), 0.0))
    return PairedTest(method, auc_a, auc_b, len(y), clusters, se, *_normal(auc_a - auc_b, se))


def placements(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The area under the ROC curve, and the part that each image has in it.

    Returns:
      AUC; and float64 [n]: for a positive the share of negatives below it, for a negative the share
      of positives above it, ties half. Both classes must occur.
    """
    from scipy.stats import rankdata

    y, s = check_binary(labels, scores)
    positive = y == 1
    m, n = int(positive.sum()), int((~positive).sum())
    overall = rankdata(s)
    part = np.empty(len(y))
    part[positive] = (overall[positive] - rankdata(s[positive])) / n
    part[~positive] = 1 - (overall[~positive] - rankdata(s[~positive])) / m
    return float(part[positive].mean()), part


def mcnemar_clustered(
    correct_a: np.ndarray, correct_b: np.ndarray, groups: np.ndarray
) -> PairedTest:
    """McNemar's test of two accuracies, clustered (Durkalski et al. 2003, Stat. Med. 22).

    z = sum d_k / sqrt(sum d_k^2), d_k the mean over the images of patient k of (a right) - (b
    right). Under "no difference" the sign of each d_k is as likely plus as minus; where fewer than
    16 patients differ, all signs are enumerated and p is exact for the same sum, with mid-p
    (Lancaster 1961). For one image of each patient that is McNemar's test with the binomial
    (Fagerland et al. 2013). The standard error is from sums over patients (Obuchowski 1998, Stat.
    Med. 17).

    Args:
      correct_a: bool [n], which decisions of the first model are right.
      correct_b: bool [n], of the second.
      groups: [n], equal values are one patient.
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    n = len(a)
    patients, cluster = np.unique(groups, return_inverse=True)
    clusters = len(patients)
    if not n:
        return PairedTest("McNemar by patient, none", math.nan, math.nan, 0, 0)
    sums = np.bincount(cluster, weights=a.astype(int) - b.astype(int), minlength=clusters)
    d = sums / np.bincount(cluster, minlength=clusters)
    d = d[np.abs(d) > 1e-12]
    total, z = float(d.sum()), math.nan
    if not len(d):
        method, p, p_worse = "no patient differs", 1.0, 1.0
    elif len(d) < _FEW:
        method, (p, p_worse) = "all signs, mid-p", _signs(np.abs(d), total)
    else:
        method, (z, p, p_worse) = "Durkalski", _normal(total, math.sqrt(float((d**2).sum())))
    return PairedTest(
        method=f"McNemar by patient, {method}",
        a=float(a.mean()),
        b=float(b.mean()),
        n=n,
        clusters=clusters,
        se=math.sqrt(float((sums**2).sum())) / n,
        z=z,
        p=p,
        p_worse=p_worse,
        only_a=int((a & ~b).sum()),
        only_b=int((~a & b).sum()),
    )


def bootstrap_difference(
    a: np.ndarray, b: np.ndarray, groups: np.ndarray, *, resamples: int = 2000, seed: int = 0
) -> PairedTest:
    """Tests the difference of two means of a score per image by resampling whole patients.

    Both models are read from the same resample, so what the images share cancels. p_worse is the
    share of resamples in which a is not worse, (1 + count) / (1 + resamples): the percentile
    interval inverted (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 15). A tie
    counts as "not worse", so models that never differ get p 1.

    An image may count for one model only (without a true box, it counts for the model that predicts
    one); each mean is over the images that count for its model, as in the challenge.

    Args:
      a: score of each image by the first model, float [n]; NaN where it does not count.
      b: by the second model, float [n].
      groups: [n], equal values are one patient.
    """
    pair, g = [np.asarray(a, np.float64), np.asarray(b, np.float64)], np.asarray(groups)
    counts = [np.isfinite(x) for x in pair]
    either = counts[0] | counts[1]
    n, clusters = int(either.sum()), len(np.unique(g[either]))
    mean_a, mean_b = (
        float(x[c].mean()) if c.any() else math.nan for x, c in zip(pair, counts, strict=True)
    )
    none = PairedTest("bootstrap by patient", mean_a, mean_b, n, clusters)
    if not math.isfinite(none.difference) or clusters < 2:
        return none
    _, patient = np.unique(g, return_inverse=True)
    drawn = []
    for w in patient_weights(patient, resamples, seed):
        with np.errstate(divide="ignore", invalid="ignore"):
            one, two = ((w @ np.nan_to_num(x)) / (w @ np.isfinite(x)) for x in pair)
        drawn.append(one - two)
    differences = np.concatenate(drawn)
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2:
        return none
    p_worse = (1 + int((differences >= -1e-12).sum())) / (1 + len(differences))
    return replace(none, se=float(differences.std(ddof=1)), p_worse=p_worse)


def _signs(sizes: np.ndarray, total: float) -> tuple[float, float]:
    """Two-sided and one-sided mid-p of a sum of sizes with random signs."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    below = float((sums < total - 1e-9).mean())
    here = float((np.abs(sums - total) <= 1e-9).mean())
    above = 1 - below - here
    return min(1.0, 2 * (min(below, above) + here / 2)), below + here / 2


def _normal(difference: float, se: float) -> tuple[float, float, float]:
    """z, two-sided p, p that the difference is below 0."""
    from scipy.stats import norm

    if se <= 1e-12:  # every image agrees on the difference
        if abs(difference) <= 1e-12:
            return 0.0, 1.0, 1.0
        return math.copysign(math.inf, difference), 0.0, float(difference > 0)
    z = difference / se
    return z, float(2 * norm.sf(abs(z))), float(norm.cdf(z))
