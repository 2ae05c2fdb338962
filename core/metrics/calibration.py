"""Temperature scaling.

Throughout, logits are float [n, C] and targets are 0/1 [n, C]: one class for an ordinary label,
several for a partial label, none for an image outside the task.
"""

import math
from collections.abc import Sequence

import numpy as np

BOUNDS = (0.05, 20.0)
_LEAST = 1e-12


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of `logits / temperature` over the last axis, float64 [..., C].

    Log-probabilities can be used as logits: temperature 1 then returns the probabilities.

    Raises:
      ValueError: the temperature is not above 0.
    """
    from scipy import special

    if not temperature > 0:
        raise ValueError(f"the temperature must be above 0, not {temperature}")
    return np.asarray(special.softmax(np.asarray(logits, np.float64) / temperature, axis=-1))


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Returns the logarithm of probabilities, finite where they are 0; see `softmax`."""
    return np.log(np.maximum(probabilities, _LEAST))


def scale_probabilities(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns probabilities [n, C] after temperature scaling, float64 [n, C]."""
    return softmax(log_probabilities(probabilities), temperature)


def positive_score(probabilities: np.ndarray, positive: Sequence[int]) -> np.ndarray:
    """Returns the total probability of the positive classes, within 0..1, float64 [n]."""
    return np.clip(probabilities[:, list(positive)].sum(axis=1), 0.0, 1.0)


def negative_log_likelihood(
    logits: np.ndarray,
    targets: np.ndarray,
    temperature: float = 1.0,
    weights: np.ndarray | None = None,
) -> float:
    """Mean of -log of the summed probability of the target classes, in nats.

    With one target class per row this is the cross-entropy. Rows without a target are ignored; NaN
    if no row has one. `weights` float [n] weight the mean; None: all are equal.

    Raises:
      ValueError: shapes differ, or a logit is not finite.
    """
    z, t = _check(logits, targets)
    known = t.any(axis=1)
    if not known.any():
        return math.nan
    chosen = (softmax(z[known], temperature) * t[known]).sum(axis=1)
    losses = -np.log(np.maximum(chosen, _LEAST))
    return float(losses.mean() if weights is None else np.average(losses, weights=weights[known]))


def fit_temperature(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Fits the temperature T that minimizes `negative_log_likelihood(logits, targets, T)`.

    Guo et al. (2017, ICML); a partial label uses the summed probability of its classes. Scaling
    changes neither the predicted classes nor, with two classes, the order of the scores. The search
    runs over log T within `BOUNDS`.

    Returns 1 (no change) if validation does not determine T: no row has a label, all rows share a
    class, or every prediction is correct, where the likelihood increases as T approaches 0.

    Args:
      logits: float [n, C].
      targets: 0/1 [n, C].
      weights: float [n], of each row in the likelihood; None: all are equal.

    Raises:
      ValueError: shapes differ, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    z, t = _check(logits, targets)
    informative = t.any(axis=1) & ~t.all(axis=1)
    z, t = z[informative], t[informative]
    w = None if weights is None else weights[informative]
    if not len(z) or t.all(axis=0).any() or t[np.arange(len(z)), z.argmax(axis=1)].all():
        return 1.0
    result = minimize_scalar(
        lambda log_t: negative_log_likelihood(z, t, math.exp(log_t), w),
        bounds=tuple(map(math.log, BOUNDS)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(result.x))


def _check(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, t = np.asarray(logits, np.float64), np.asarray(targets)
    if z.ndim != 2 or z.shape != t.shape:
        raise ValueError(f"logits {z.shape} and targets {t.shape} must be 2-D and of equal shape")
    if not np.isfinite(z).all():
        at = int(np.argmin(np.isfinite(z).all(axis=1)))
        raise ValueError(f"logits {z[at].tolist()} at index {at} contain NaN or infinity")
    return z, t > 0
