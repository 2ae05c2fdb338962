"""Predictive values at another prevalence."""

import numpy as np


def predictive_values(
    sensitivity: float, specificity: float, prevalence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """PPV and NPV by Bayes' rule.

    Carrying sensitivity and specificity to another population holds only where the spectrum of
    disease is alike (Ransohoff & Feinstein 1978).

    Args:
      sensitivity: 0..1.
      specificity: 0..1.
      prevalence: float [k] in 0..1.

    Returns:
      PPV [k] and NPV [k]; NaN where no image would be predicted so, or an input is NaN.
    """
    p = np.asarray(prevalence, np.float64)
    tp, fn = sensitivity * p, (1 - sensitivity) * p
    tn, fp = specificity * (1 - p), (1 - specificity) * (1 - p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return tp / (tp + fp), tn / (tn + fn)
