"""Paired tests of two models on the same images, clustered by patient."""

import math
from dataclasses import dataclass, replace

import numpy as np

from core.metrics.binary import check_binary
from core.metrics.bootstrap import patient_weights

# With fewer discordant patients, all signs are enumerated instead of a normal approximation.
_FEW = 16


@dataclass(frozen=True)
class PairedTest:
    """Comparison of models a and b; undefined values are NaN.

    Attributes:
      a: metric of the first model.
      b: metric of the second model.
      n: number of images.
      clusters: number of patients.
      se: standard error of the difference.
      z: difference / se if p is from the normal distribution.
      p: two-sided p-value.
      p_worse: one-sided p-value of the hypothesis that a is worse than b.
      only_a: number of images that only a classifies correctly, in a test of decisions.
      only_b: number of images that only b classifies correctly.
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
        """Value of model a minus value of model b."""
        return self.a - self.b


def delong_clustered(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, groups: np.ndarray
) -> PairedTest:
    """DeLong's test of two AUCs for clustered data (Obuchowski, 1997, Biometrics 53).

    Sums the placements of each patient's images; a patient may have images of both classes. With
    one image per patient it equals the test of DeLong, DeLong & Clarke-Pearson (1988, Biometrics
    44). Placements are computed from midranks in O(n log n) (Sun & Xu, 2014, IEEE Signal Process.
    Lett. 21). Undefined with fewer than two patients of a class.

    Args:
      labels: int [n] of 0 and 1.
      a: scores of the first model, float [n].
      b: scores of the second model, float [n].
      groups: [n], patient of each image.

    Raises:
      ValueError: lengths differ, or an invalid label or score.
    """
    y, a, b, cluster, clusters = _check_pair(labels, a, b, groups)
    method, (n, m) = "DeLong by patient", np.bincount(y, minlength=2).tolist()
    if not m or not n:
        return PairedTest(method, math.nan, math.nan, len(y), clusters)
    auc_a, auc_b, centered = _placement_differences(y, a, b)
    positive, negative = (
        np.bincount(cluster, weights=centered * (y == c), minlength=clusters) for c in (1, 0)
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


def delong_folds(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, folds: np.ndarray, groups: np.ndarray
) -> PairedTest:
    """Tests the mean over folds of two AUCs, clustered by patient.

    The mean of the differences is a sum of placements, whose sums over patients are independent, as
    in `delong_clustered`; a patient may have images in several folds. Undefined with fewer than
    two patients, or if a fold lacks a class.

    Args:
      labels: int [n] of 0 and 1.
      a: scores of the first model, float [n].
      b: scores of the second model, float [n].
      folds: [n], fold of each image.
      groups: [n], patient of each image.

    Raises:
      ValueError: lengths differ, or an invalid label or score.
    """
    y, a, b, cluster, clusters = _check_pair(labels, a, b, groups)
    names = np.unique(folds)
    undefined = PairedTest("DeLong by patient, mean of folds", math.nan, math.nan, len(y), clusters)
    influence, areas = np.zeros(len(y)), []
    for fold in names:
        rows = np.flatnonzero(np.asarray(folds) == fold)
        if len(np.unique(y[rows])) < 2:
            return undefined
        auc_a, auc_b, centered = _placement_differences(y[rows], a[rows], b[rows])
        counts = np.bincount(y[rows], minlength=2)[y[rows]]
        influence[rows] = centered / counts / len(names)
        areas.append((auc_a, auc_b))
    if clusters < 2 or not areas:
        return undefined
    mean_a, mean_b = np.mean(areas, axis=0).tolist()
    sums = np.bincount(cluster, weights=influence, minlength=clusters)
    se = math.sqrt(clusters / (clusters - 1) * float((sums**2).sum()))
    z, p, p_worse = _normal(mean_a - mean_b, se)
    return replace(undefined, a=mean_a, b=mean_b, se=se, z=z, p=p, p_worse=p_worse)


def _check_pair(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Returns checked labels and scores, the patient number of each image, and their count."""
    y, a = check_binary(labels, a)
    _, b = check_binary(labels, b)
    patients, cluster = np.unique(groups, return_inverse=True)
    return y, a, b, cluster, len(patients)


def _placement_differences(
    y: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Returns both AUCs and the centered differences of the placements, float64 [n].

    Centered, so that a sum over a patient is V(X_i.) - m_i * theta of Obuchowski (1997).
    """
    (auc_a, placed_a), (auc_b, placed_b) = placements(y, a), placements(y, b)
    return auc_a, auc_b, placed_a - placed_b - (auc_a - auc_b)


def placements(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """Computes the AUC and the placement of each image; both classes must occur.

    Returns:
      AUC, and float64 [n]: for a positive image the share of negatives with a lower score, for a
      negative image the share of positives with a higher score; ties count half.
    """
    from scipy.stats import rankdata

    y, s = check_binary(labels, scores)
    positive = y == 1
    m, n = int(positive.sum()), int((~positive).sum())
    overall = rankdata(s)
    placement = np.empty(len(y))
    placement[positive] = (overall[positive] - rankdata(s[positive])) / n
    placement[~positive] = 1 - (overall[~positive] - rankdata(s[~positive])) / m
    return float(placement[positive].mean()), placement


def mcnemar_clustered(
    correct_a: np.ndarray, correct_b: np.ndarray, groups: np.ndarray
) -> PairedTest:
    """McNemar's test of two accuracies for clustered data (Durkalski et al., 2003, Stat. Med. 22).

    z = sum d_k / sqrt(sum d_k^2), where d_k is the mean of (a correct) - (b correct) over the
    images of patient k. Under the null hypothesis both signs of d_k are equally likely. With fewer
    than 16 discordant patients all signs are enumerated, which gives an exact mid-p value
    (Lancaster, 1961); with one image per patient this is the binomial McNemar test (Fagerland et
    al., 2013).
    The standard error is computed from sums over patients (Obuchowski, 1998, Stat. Med. 17).

    Args:
      correct_a: bool [n], whether the first model is correct.
      correct_b: bool [n], whether the second model is correct.
      groups: [n], patient of each image.
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
    """Tests the difference of two mean image scores by resampling patients.

    Both models are evaluated on the same resamples. p_worse is the share of resamples in which a is
    not worse, (1 + count) / (1 + resamples), which inverts the percentile interval (Efron &
    Tibshirani, 1993, An Introduction to the Bootstrap, ch. 15). Ties count as not worse, so
    identical models get p_worse = 1.

    An image may count for one model only: without a true box, it counts for a model that predicts a
    box. Each mean is over the images that count for its model, as in the RSNA challenge.

    Args:
      a: image scores of the first model, float [n]; NaN if the image does not count.
      b: image scores of the second model, float [n].
      groups: [n], patient of each image.
      resamples: number of resamples.
      seed: seed of the resampling.
    """
    pair, g = [np.asarray(a, np.float64), np.asarray(b, np.float64)], np.asarray(groups)
    counts = [np.isfinite(x) for x in pair]
    either = counts[0] | counts[1]
    n, clusters = int(either.sum()), len(np.unique(g[either]))
    mean_a, mean_b = (
        float(x[c].mean()) if c.any() else math.nan for x, c in zip(pair, counts, strict=True)
    )
    undefined = PairedTest("bootstrap by patient", mean_a, mean_b, n, clusters)
    if not math.isfinite(undefined.difference) or clusters < 2:
        return undefined
    _, patient = np.unique(g, return_inverse=True)
    drawn = []
    for w in patient_weights(patient, resamples, seed):
        with np.errstate(divide="ignore", invalid="ignore"):
            one, two = ((w @ np.nan_to_num(x)) / (w @ np.isfinite(x)) for x in pair)
        drawn.append(one - two)
    differences = np.concatenate(drawn)
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2:
        return undefined
    p_worse = (1 + int((differences >= -1e-12).sum())) / (1 + len(differences))
    return replace(undefined, se=float(differences.std(ddof=1)), p_worse=p_worse)


def _signs(sizes: np.ndarray, total: float) -> tuple[float, float]:
    """Returns the two-sided and the one-sided mid-p of a sum of sizes with random signs."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    below = float((sums < total - 1e-9).mean())
    equal = float((np.abs(sums - total) <= 1e-9).mean())
    above = 1 - below - equal
    return min(1.0, 2 * (min(below, above) + equal / 2)), below + equal / 2


def _normal(difference: float, se: float) -> tuple[float, float, float]:
    """Returns z, the two-sided p and the one-sided p of a negative difference."""
    from scipy.stats import norm

    if se <= 1e-12:  # the difference is the same for every image
        if abs(difference) <= 1e-12:
            return 0.0, 1.0, 1.0
        return math.copysign(math.inf, difference), 0.0, float(difference > 0)
    z = difference / se
    return z, float(2 * norm.sf(abs(z))), float(norm.cdf(z))
