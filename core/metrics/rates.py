"""Specificity at a given sensitivity, and the reverse: operating points of one set of images."""

import numpy as np

RATE = 0.95


def rates_at(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Specificity at a sensitivity of at least RATE, and sensitivity at such a specificity.

    Args:
      positive: positives at or above each distinct score in descending order, [r, k].
      negative: negatives, likewise.

    Returns:
      Both rates [r], at the best threshold of each row; NaN if a class is missing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found, alarms = positive / positive[:, -1:], negative / negative[:, -1:]
    defined = np.isfinite(found[:, -1] + alarms[:, -1])
    specificity = 1 - np.where(found >= RATE - 1e-9, alarms, np.inf).min(axis=1)
    sensitivity = np.where(1 - alarms >= RATE - 1e-9, found, 0.0).max(axis=1)
    return np.where(defined, specificity, np.nan), np.where(defined, sensitivity, np.nan)
