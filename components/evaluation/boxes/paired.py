"""The challenge's metric of two models on the same images."""

import math
from dataclasses import dataclass

import numpy as np

from components.evaluation.bootstrap import patient_weights


@dataclass(frozen=True)
class PairedMean:
    """Two means of a score per image, compared.

    Attributes:
      mean_a: of the first model; NaN where no image counts.
      mean_b: of the second model.
      difference: mean_a - mean_b.
      se: standard deviation of the difference over resamples; NaN where not defined.
      p_worse: one-sided, that a is worse; NaN where the test is not defined.
      n: images that count for either model.
      clusters: their patients.
    """

    mean_a: float
    mean_b: float
    difference: float
    se: float
    p_worse: float
    n: int
    clusters: int


def bootstrap_difference(
    a: np.ndarray, b: np.ndarray, groups: np.ndarray, *, resamples: int = 2000, seed: int = 0
) -> PairedMean:
    """Tests the difference of two means by resampling whole patients.

    Both models are read from the same resample, so what the images share cancels. p is the share of
    resamples in which a is not worse, (1 + count) / (1 + resamples): the percentile interval turned
    around (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 15). A tie counts as "not
    worse", so models that never differ get p 1.

    An image may count for one model only: without a true box, it counts for the model that predicts
    one. Each mean is over the images that count for its model, as the challenge has it.

    Args:
      a: score of each image by the first model, float [n]; NaN where it does not count.
      b: by the second model, float [n].
      groups: [n], equal values are one patient.
      resamples: how many.
      seed: of the draws.

    Raises:
      ValueError: lengths differ.
    """
    one, two, g = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(groups)
    if not one.shape == two.shape == g.shape or one.ndim != 1:
        raise ValueError(f"scores {one.shape}, {two.shape} and groups {g.shape} must be equal rows")
    counts = np.isfinite(one), np.isfinite(two)
    either = counts[0] | counts[1]
    n, clusters = int(either.sum()), len(np.unique(g[either]))
    mean_a, mean_b = (
        float(x[c].mean()) if c.any() else math.nan for x, c in zip((one, two), counts, strict=True)
    )
    difference = mean_a - mean_b
    if not math.isfinite(difference) or clusters < 2:
        return PairedMean(mean_a, mean_b, difference, math.nan, math.nan, n, clusters)
    _, patient = np.unique(g, return_inverse=True)
    drawn = []
    for w in patient_weights(patient, resamples, seed):
        with np.errstate(divide="ignore", invalid="ignore"):
            one_mean, two_mean = (
                (w @ np.where(c, x, 0)) / (w @ c) for x, c in zip((one, two), counts, strict=True)
            )
        drawn.append(one_mean - two_mean)
    differences = np.concatenate(drawn)
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2:
        return PairedMean(mean_a, mean_b, difference, math.nan, math.nan, n, clusters)
    not_worse = int((differences >= -1e-12).sum())
    p_worse = (1 + not_worse) / (1 + len(differences))
    se = float(differences.std(ddof=1))
    return PairedMean(mean_a, mean_b, difference, se, p_worse, n, clusters)
