"""Two-sample permutation test with the maximum mean discrepancy.

Gretton et al. 2012, "A kernel two-sample test": the unbiased squared MMD (equation 3) with a
Gaussian kernel whose width is the median distance of the pooled sample. Its p-value is the share of
random relabellings whose statistic is at least as large; with one vector for each patient the
relabellings are exchangeable, so the level is exact.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TwoSample:
    """Result of the test.

    Attributes:
      statistic: unbiased squared MMD.
      p: p value; at least 1 / (permutations + 1).
      null: statistics of the relabellings, float64 [permutations].
      n: vectors of the first set.
      m: vectors of the second.
    """

    statistic: float
    p: float
    null: np.ndarray
    n: int
    m: int


def one_per_patient(patients: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Returns indices of one random vector for each patient, at most `most`; int64.

    Vectors of one patient are correlated and would cause false alarms. A vector of an unknown
    patient (empty) counts as a separate patient.
    """
    drawn: set[str] = set()
    chosen = []
    for i in rng.permutation(len(patients)).tolist():
        patient = str(patients[i])
        if patient and patient in drawn:
            continue
        drawn.add(patient)
        chosen.append(i)
    # Patients with many images tend to come first; they have pneumonia more often.
    return rng.permutation(np.array(chosen, np.int64))[:most]


def mmd(x: np.ndarray, y: np.ndarray, permutations: int, rng: np.random.Generator) -> TwoSample:
    """Tests whether two sets of vectors have one distribution.

    Args:
      x: float [n, d], n >= 2.
      y: float [m, d], m >= 2.
      permutations: relabellings.
      rng: draws them.

    Raises:
      ValueError: a set has fewer than two vectors, or the lengths differ.
    """
    if len(x) < 2 or len(y) < 2 or x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"two sets need two vectors of one length each, not {x.shape} and {y.shape}"
        )
    n, m = len(x), len(y)
    kernel = _kernel(np.concatenate([x, y]).astype(np.float64))
    np.fill_diagonal(kernel, 0.0)  # the unbiased statistic leaves out a vector with itself
    labels = np.zeros((n + m, permutations + 1))
    labels[:n, 0] = 1
    for i in range(1, permutations + 1):
        labels[rng.permutation(n + m)[:n], i] = 1
    of_first = kernel @ labels
    total = kernel.sum()
    xx = (labels * of_first).sum(axis=0)
    xy = of_first.sum(axis=0) - xx
    yy = total - xx - 2 * xy
    statistics = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    null = statistics[1:]
    # Equal up to rounding counts as at least as large.
    extreme = int((null >= statistics[0] - 1e-12).sum())
    return TwoSample(float(statistics[0]), (extreme + 1) / (permutations + 1), null, n, m)


def _kernel(z: np.ndarray) -> np.ndarray:
    """Gaussian kernel of standardized vectors, [n, n]."""
    deviation = z.std(axis=0)
    z = (z - z.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    squares = (z**2).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares[None] - 2 * z @ z.T, 0.0)
    middle = float(np.median(distance[np.triu_indices(len(z), 1)]))
    return np.exp(-distance / (middle if middle > 0 else 1.0))
