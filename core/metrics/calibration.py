"""Temperature scaling.

Throughout: logits float [n, C]; targets 0/1 [n, C], the classes that a row may belong to (one for
an ordinary label, several for a partial one, none for a row outside the task).
"""

import math

import numpy as np

BOUNDS = (0.05, 20.0)
_LEAST = 1e-12


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of `logits / temperature` over the last axis, float64 [..., C].

    Log-probabilities serve as logits: at temperature 1 they come back as the probabilities.

    Raises:
      ValueError: the temperature is not above 0.
    """
    from scipy import special

    if not temperature > 0:
        raise ValueError(f"a temperature must be above 0, not {temperature}")
    return np.asarray(special.softmax(np.asarray(logits, np.float64) / temperature, axis=-1))


def negative_log_likelihood(
    logits: np.ndarray, targets: np.ndarray, temperature: float = 1.0
) -> float:
    """Mean of -log of the summed probability of the compatible classes, in nats.

    For one compatible class it is the cross-entropy. Rows without a target are left out; NaN where
    no row has one.

    Raises:
      ValueError: shapes differ, or a logit is not finite.
    """
    z, t = _check(logits, targets)
    known = t.any(axis=1)
    if not known.any():
        return math.nan
    chosen = (softmax(z[known], temperature) * t[known]).sum(axis=1)
    return float(-np.log(np.maximum(chosen, _LEAST)).mean())


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Fits the temperature T that minimizes `negative_log_likelihood(logits, targets, T)`.

    Guo et al. (2017, ICML), with partial labels by the summed probability of the compatible
    classes. Predicted classes stay, and for two classes the order of the scores. Searched in
    log T within `BOUNDS`.

    Three kinds of validation split do not determine it, and 1 (no change) is returned: no row has
    a label; all rows agree on a class, so that any sharpening of it looks better; or every row is
    predicted right, where the likelihood grows without end as T falls to 0.

    Args:
      logits: float [n, C].
      targets: 0/1 [n, C].

    Raises:
      ValueError: shapes differ, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    z, t = _check(logits, targets)
    informative = t.any(axis=1) & ~t.all(axis=1)
    z, t = z[informative], t[informative]
    if not len(z) or t.all(axis=0).any() or t[np.arange(len(z)), z.argmax(axis=1)].all():
        return 1.0
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(z, t, math.exp(log_t)),
        bounds=tuple(map(math.log, BOUNDS)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(found.x))


def _check(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, t = np.asarray(logits, np.float64), np.asarray(targets)
    if z.ndim != 2 or z.shape != t.shape:
        raise ValueError(f"logits {z.shape} and targets {t.shape} must be two equal tables")
    if not np.isfinite(z).all():
        at = int(np.argmin(np.isfinite(z).all(axis=1)))
        raise ValueError(f"logits {z[at].tolist()} at {at} are not all numbers")
    return z, t > 0
