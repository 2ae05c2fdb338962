"""Error of the most confident images (Geifman & El-Yaniv 2017, NeurIPS)."""

import math

import numpy as np


def risk_coverage(correct: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error among the most confident images at each coverage.

    Among images of equal confidence the risk is the mean over random orders, so that their order
    in the file does not matter.

    Args:
      correct: bool [n], which predictions are right.
      confidence: float [n], larger is more confident.

    Returns:
      coverage 1/n, 2/n ... 1 and risk, float64 [n] each; empty without images.
    """
    right, sure = np.asarray(correct, bool), np.asarray(confidence, np.float64)
    _, index, counts = np.unique(-sure, return_inverse=True, return_counts=True)
    wrong = np.bincount(index, weights=~right, minlength=len(counts))
    covered = np.arange(1, len(right) + 1)
    errors = np.interp(covered, np.append(0, counts.cumsum()), np.append(0, wrong.cumsum()))
    return covered / len(right), errors / covered


def aurc(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Area under the risk-coverage curve: mean risk over all coverages; NaN without images.

    0 is best; an uninformative confidence gets the error rate.
    """
    _, risk = risk_coverage(correct, confidence)
    return float(risk.mean()) if len(risk) else math.nan
