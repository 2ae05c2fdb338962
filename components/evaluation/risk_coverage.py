"""How the error falls when the least certain images are left to a person."""

import math

import numpy as np


def risk_coverage(correct: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error among the most confident images, for each share of images that is answered.

    Geifman & El-Yaniv (2017, NeurIPS). Images of equal confidence are taken together, so that their
    order in the file does not matter.

    Args:
      correct: bool [n], which answers are right.
      confidence: float [n], larger is surer.

    Returns:
      coverage [k] rising to 1, and risk [k]; empty without images.

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
    answered = last + 1
    return answered / len(right), np.cumsum(~right[order])[last] / answered


def aurc(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Area under the risk-coverage curve: the mean risk over coverages 1/n, 2/n ... 1.

    Within a tie the risk is that of the tie's end. 0 is best; the error rate itself is what a
    confidence that knows nothing gets.

    Returns:
      NaN without images.
    """
    coverage, risk = risk_coverage(correct, confidence)
    if not len(risk):
        return math.nan
    return float((np.diff(coverage, prepend=0.0) * risk).sum())
