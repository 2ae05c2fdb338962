"""How the error falls when the least certain images are left to a person."""

import math

import numpy as np


def risk_coverage(correct: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error among the most confident images, for each share of images that is answered.

    Geifman & El-Yaniv (2017, NeurIPS). Among images of equal confidence the risk is what a random
    order would give on average, so that their order in the file does not matter.

    Args:
      correct: bool [n], which answers are right.
      confidence: float [n], larger is surer.

    Returns:
      coverage 1/n, 2/n ... 1 and risk, float64 [n] each; empty without images.

    Raises:
      ValueError: lengths differ, or a confidence is not a number.
    """
    right, sure = np.asarray(correct, bool), np.asarray(confidence, np.float64)
    if right.ndim != 1 or right.shape != sure.shape:
        raise ValueError(f"answers {right.shape} and confidence {sure.shape} must be equal rows")
    if not np.isfinite(sure).all():
        raise ValueError("a confidence is not a number")
    if not len(right):
        return np.empty(0), np.empty(0)
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.flatnonzero(np.diff(sure[order])), len(sure) - 1)
    at = np.append(0, last + 1)
    errors = np.append(0, np.cumsum(~right[order])[last])
    answered = np.arange(1, len(right) + 1)
    return answered / len(right), np.interp(answered, at, errors) / answered


def aurc(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Area under the risk-coverage curve: the mean risk over coverages 1/n, 2/n ... 1.

    0 is best; a confidence that knows nothing gets the error rate itself.

    Returns:
      NaN without images.
    """
    _, risk = risk_coverage(correct, confidence)
    return float(risk.mean()) if len(risk) else math.nan
