"""Tests of two models on the same images: DeLong for areas, McNemar for decisions.

Throughout: `a` and `b` are the two models, a difference is a - b, and `p_worse` is the one-sided p
of "a is worse than b". Images of one patient are not independent: the unit is the patient.
"""

import math
from dataclasses import dataclass

import numpy as np

from components.evaluation.metrics import check

# Below so many patients who differ, all signs are tried instead of trusting the normal curve.
_FEW = 16


@dataclass(frozen=True)
class PairedAuc:
    """Two areas under the ROC curve, compared.

    Attributes:
      auc_a: of the first model; NaN where a class is missing.
      auc_b: of the second model.
      difference: auc_a - auc_b.
      se: standard error of the difference; NaN where a class has fewer than two patients.
      z: difference / se.
      p: two-sided; NaN where the test is not defined.
      p_worse: one-sided, that a is worse.
      n: images.
      clusters: patients.
    """

    auc_a: float
    auc_b: float
    difference: float
    se: float
    z: float
    p: float
    p_worse: float
    n: int
    clusters: int


@dataclass(frozen=True)
class PairedAccuracy:
    """Decisions of two models, compared.

    Attributes:
      accuracy_a: share of right decisions; NaN without images.
      accuracy_b: of the second model.
      difference: accuracy_a - accuracy_b.
      only_a: images that only a gets right.
      only_b: images that only b gets right.
      se: standard error of the difference under "no difference", from sums over patients
        (Obuchowski 1998, Stat. Med. 17).
      z: NaN in the exact forms.
      p: two-sided; 1 where the models never differ; NaN without images.
      p_worse: one-sided, that a is worse.
      n: images.
      clusters: patients.
      method: how p was found.
    """

    accuracy_a: float
    accuracy_b: float
    difference: float
    only_a: int
    only_b: int
    se: float
    z: float
    p: float
    p_worse: float
    n: int
    clusters: int
    method: str


def delong_clustered(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, groups: np.ndarray
) -> PairedAuc:
    """DeLong's test where images of one patient go together (Obuchowski 1997, Biometrics 53).

    The placements of each patient's images are summed; a patient may have images of both classes.
    With one image of each patient it is the test of DeLong, DeLong & Clarke-Pearson (1988,
    Biometrics 44). Placements come from midranks, O(n log n), as in Sun & Xu (2014, IEEE Signal
    Process. Lett. 21).

    Args:
      labels: int [n] of 0 and 1.
      a: scores of the first model, float [n].
      b: scores of the second model, float [n].
      groups: [n], equal values are one patient.

    Raises:
      ValueError: lengths differ, or a bad label or score.
    """
    y, a = check(labels, a)
    _, b = check(labels, b)
    cluster, clusters = _clusters(groups, len(y))
    m, n = int(y.sum()), int((1 - y).sum())
    nan = math.nan
    if not m or not n:
        return PairedAuc(nan, nan, nan, nan, nan, nan, nan, len(y), clusters)
    (auc_a, of_a), (auc_b, of_b) = placements(y, a), placements(y, b)
    difference = auc_a - auc_b
    # Centred, so that a sum over a patient is V(X_i.) - m_i * theta of the source.
    centred = of_a - of_b - difference
    sums = [np.bincount(cluster, weights=centred * (y == c), minlength=clusters) for c in (1, 0)]
    having = [int(np.unique(cluster[y == c]).size) for c in (1, 0)]
    if min(having) < 2:
        return PairedAuc(auc_a, auc_b, difference, nan, nan, nan, nan, len(y), clusters)
    positive, negative = sums
    variance = (
        having[0] / (having[0] - 1) * (positive**2).sum() / m**2
        + having[1] / (having[1] - 1) * (negative**2).sum() / n**2
        + 2 * clusters / (clusters - 1) * (positive * negative).sum() / (m * n)
    )
    se = math.sqrt(max(float(variance), 0.0))
    z, p, p_worse = _normal(difference, se)
    return PairedAuc(auc_a, auc_b, difference, se, z, p, p_worse, len(y), clusters)


def placements(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The area, and the part that each image has in it.

    Returns:
      AUC; and float64 [n]: for a positive the share of negatives below it, for a negative the share
      of positives above it, ties half. Both classes must be there.
    """
    from scipy.stats import rankdata

    y, s = check(labels, scores)
    positive = y == 1
    m, n = int(positive.sum()), int((~positive).sum())
    overall = rankdata(s)
    part = np.empty(len(y))
    part[positive] = (overall[positive] - rankdata(s[positive])) / n
    part[~positive] = 1 - (overall[~positive] - rankdata(s[~positive])) / m
    return float(part[positive].mean()), part


def mcnemar_clustered(
    correct_a: np.ndarray, correct_b: np.ndarray, groups: np.ndarray
) -> PairedAccuracy:
    """McNemar's test where images of one patient go together.

    Durkalski et al. (2003, Stat. Med. 22): z = sum d_k / sqrt(sum d_k^2), d_k the mean over the
    images of patient k of (a right) - (b right). Under "no difference" the sign of each d_k is as
    likely plus as minus; where fewer than 16 patients differ, all signs are tried and p is exact
    for the same sum, with mid-p (half the weight of what was seen; Lancaster 1961). For one image
    of each patient that is McNemar's test with the binomial (Fagerland et al. 2013).

    Args:
      correct_a: bool [n], which decisions of the first model are right.
      correct_b: bool [n], of the second.
      groups: [n], equal values are one patient.

    Raises:
      ValueError: lengths differ.
    """
    a, b = _decisions(correct_a, correct_b)
    cluster, clusters = _clusters(groups, len(a))
    if not len(a):
        return _accuracies(a, b, cluster, math.nan, math.nan, math.nan, "none")
    size = np.bincount(cluster, minlength=clusters)
    each = a.astype(int) - b.astype(int)
    d = np.bincount(cluster, weights=each, minlength=clusters) / size
    d = d[np.abs(d) > 1e-12]
    if not len(d):
        return _accuracies(a, b, cluster, math.nan, 1.0, 1.0, "no patient differs")
    total = float(d.sum())
    if len(d) < _FEW:
        p, p_worse = _signs(np.abs(d), total)
        return _accuracies(a, b, cluster, math.nan, p, p_worse, "all signs, mid-p")
    z, p, p_worse = _normal(total, math.sqrt(float((d**2).sum())))
    return _accuracies(a, b, cluster, z, p, p_worse, "Durkalski")


def _signs(sizes: np.ndarray, total: float) -> tuple[float, float]:
    """Two-sided and one-sided mid-p of a sum of d whose signs are chance."""
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
        z = math.copysign(math.inf, difference)
        return z, 0.0, float(difference > 0)
    z = difference / se
    return z, float(2 * norm.sf(abs(z))), float(norm.cdf(z))


def _clusters(groups: np.ndarray, n: int) -> tuple[np.ndarray, int]:
    g = np.asarray(groups)
    if g.shape != (n,):
        raise ValueError(f"groups {g.shape} and {n} images do not belong together")
    _, cluster = np.unique(g, return_inverse=True)
    return cluster, int(cluster.max()) + 1 if n else 0


def _decisions(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"decisions {a.shape} and {b.shape} must be two equal rows")
    return a, b


def _accuracies(
    a: np.ndarray,
    b: np.ndarray,
    cluster: np.ndarray,
    z: float,
    p: float,
    p_worse: float,
    method: str,
) -> PairedAccuracy:
    n = len(a)
    share_a, share_b = (float(x.mean()) if n else math.nan for x in (a, b))
    sums = np.bincount(cluster, weights=a.astype(int) - b.astype(int)) if n else np.zeros(0)
    return PairedAccuracy(
        accuracy_a=share_a,
        accuracy_b=share_b,
        difference=share_a - share_b,
        only_a=int((a & ~b).sum()),
        only_b=int((~a & b).sum()),
        se=math.sqrt(float((sums**2).sum())) / n if n else math.nan,
        z=z,
        p=p,
        p_worse=p_worse,
        n=n,
        clusters=len(sums),
        method=method,
    )
