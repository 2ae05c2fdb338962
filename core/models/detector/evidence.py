"""One probability of an image from two witnesses: the pooled head and the strongest box.

A small opacity hardly moves an average over the whole image, but it is a peak of the heat map; and
an image called negative that shows a sure box contradicts itself. The two are joined by a logistic
regression that is fitted on validation, before temperature and operating point.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.models.detector.decode import LEAST

if TYPE_CHECKING:
    import tensorflow as tf

_PENALTY = 0.01  # on squared weights; keeps them finite where the witnesses make no mistake


@dataclass(frozen=True)
class Evidence:
    """Log-odds of an image = head * (those of the pooled head) + peak * (those of the box) + bias.

    Attributes:
      head: weight of the pooled head.
      peak: weight of the log-odds of the strongest box's heat.
      bias: in log-odds.
    """

    head: float = 1.0
    peak: float = 0.0
    bias: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)

    def joined(self, logits: np.ndarray, heat: np.ndarray) -> np.ndarray:
        """Logits of the pooled heads and heat of the strongest box -> joint logits.

        Args:
          logits: float [n, members, 2].
          heat: float [n], 0..1; what is below `LEAST`, also -1 for no box, counts as `LEAST`.

        Returns:
          float32 [n, members, 2]; their difference is the joint log-odds.
        """
        odds = logits[..., 1] - logits[..., 0]
        both = self.head * odds + self.peak * log_odds(heat)[:, np.newaxis] + self.bias
        return np.stack([-both / 2, both / 2], axis=-1).astype(np.float32)

    def joined_tensor(self, logits: "tf.Tensor", heat: "tf.Tensor") -> "tf.Tensor":
        """`joined` in a graph."""
        import tensorflow as tf

        held = tf.clip_by_value(heat, LEAST, 1.0 - LEAST)
        peak = tf.math.log(held) - tf.math.log1p(-held)
        odds = logits[..., 1] - logits[..., 0]
        both = self.head * odds + self.peak * peak[:, tf.newaxis] + self.bias
        return tf.stack([-both / 2, both / 2], axis=-1)


ALONE: Final = Evidence()  # the pooled head as it is


def log_odds(heat: np.ndarray) -> np.ndarray:
    """Heat [n] -> its log-odds, kept within those of `LEAST` and 1 - `LEAST`."""
    held = np.clip(np.asarray(heat, np.float64), LEAST, 1 - LEAST)
    return np.log(held) - np.log1p(-held)


def fit_evidence(logits: np.ndarray, heat: np.ndarray, positive: np.ndarray) -> Evidence:
    """Fits the weights on validation.

    Args:
      logits: float [n, members, 2] of the pooled heads; their mean log-odds are used.
      heat: float [n], of the strongest box.
      positive: int [n]: 1, 0, or -1 for images that do not count.

    Returns:
      weights of 0 or more for both witnesses; those of the head alone where one side has no image.
    """
    from scipy.optimize import minimize

    told = positive >= 0
    truth = positive[told].astype(np.float64)
    if not len(truth) or truth.min() == truth.max():
        return ALONE
    odds = (logits[..., 1] - logits[..., 0]).mean(axis=1)[told].astype(np.float64)
    seen = np.stack([odds, log_odds(heat)[told], np.ones_like(truth)], axis=1)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        both = seen @ weights
        cost = np.logaddexp(0.0, both) - truth * both
        slope = 1 / (1 + np.exp(-both)) - truth
        held = _PENALTY * weights * [1, 1, 0]
        return float(cost.sum() + (held @ weights) / 2), seen.T @ slope + held

    # A witness counts for what it says or not at all: a weight below 0 would read it backwards.
    found = minimize(
        loss,
        np.array([1.0, 0.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
    ).x
    return Evidence(*(float(weight) for weight in found))
