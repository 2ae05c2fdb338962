"""Risk-coverage curve (Geifman & El-Yaniv, 2017, NeurIPS)."""

import math

import numpy as np


def risk_coverage(correct: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the error rate among the most confident images at each coverage.

    Images of equal confidence are averaged over random orders.

    Args:
      correct: bool [n], whether the prediction is correct.
      confidence: float [n]; larger is more confident.

    Returns:
      Coverage 1/n, 2/n, ..., 1 and risk, float64 [n] each; empty without images.
    """
    correct, confidence = np.asarray(correct, bool), np.asarray(confidence, np.float64)
    _, index, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(index, weights=~correct, minlength=len(counts))
    covered = np.arange(1, len(correct) + 1)
    errors = np.interp(covered, np.append(0, counts.cumsum()), np.append(0, wrong.cumsum()))
    return covered / len(correct), errors / covered


def aurc(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Area under the risk-coverage curve, the mean risk over all coverages; NaN without images.

    0 is best; an uninformative confidence gives the error rate.
    """
    _, risk = risk_coverage(correct, confidence)
    return float(risk.mean()) if len(risk) else math.nan
