"""What a positive and a negative answer are worth where the disease is rarer or more common."""

import numpy as np


def predictive_values(
    sensitivity: float, specificity: float, prevalence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """PPV and NPV by Bayes' rule, at any prevalence.

    It carries sensitivity and specificity from this data to another place, which holds only where
    the spectrum of disease is alike (Ransohoff & Feinstein 1978).

    Args:
      sensitivity: 0..1.
      specificity: 0..1.
      prevalence: float [k] in 0..1.

    Returns:
      PPV [k] and NPV [k]; NaN where no image would be called so, or an input is NaN.

    Raises:
      ValueError: a number outside 0..1.
    """
    p = np.asarray(prevalence, np.float64)
    for name, value in (("sensitivity", sensitivity), ("specificity", specificity)):
        if value < 0 or value > 1:
            raise ValueError(f"{name} is in 0..1, not {value}")
    if len(p) and (np.nanmin(p) < 0 or np.nanmax(p) > 1):
        raise ValueError(f"prevalence is in 0..1, not {p.tolist()}")
    tp, fn = sensitivity * p, (1 - sensitivity) * p
    tn, fp = specificity * (1 - p), (1 - specificity) * (1 - p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return tp / (tp + fp), tn / (tn + fn)
