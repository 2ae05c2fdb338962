"""One probability of an image from two witnesses: the pooled head and the strongest box.

A small opacity hardly moves an average over the whole image, but it is a peak of the heat map; and
an image called negative that shows a sure box contradicts itself. The two are joined by a logistic
regression that is fitted on validation, before temperature and operating point.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.models.detector.decode import MIN_HEAT

if TYPE_CHECKING:
    import tensorflow as tf

_PENALTY = 0.01  # on squared weights; keeps them finite where the witnesses make no mistake


@dataclass(frozen=True)
class ScoreFusion:
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

    def fuse(self, logits: np.ndarray, heat: np.ndarray) -> np.ndarray:
        """Logits of the pooled heads and heat of the strongest box -> joint logits.

        Args:
          logits: float [n, members, 2].
          heat: float [n], 0..1; what is below `MIN_HEAT`, also -1 for no box, counts as `MIN_HEAT`.

        Returns:
          float32 [n, members, 2]; their difference is the joint log-odds.
        """
        odds = logits[..., 1] - logits[..., 0]
        both = self.head * odds + self.peak * log_odds(heat)[:, np.newaxis] + self.bias
        return np.stack([-both / 2, both / 2], axis=-1).astype(np.float32)

    def fuse_tensor(self, logits: "tf.Tensor", heat: "tf.Tensor") -> "tf.Tensor":
        """`fuse` in a graph."""
        import tensorflow as tf

        held = tf.clip_by_value(heat, MIN_HEAT, 1.0 - MIN_HEAT)
        peak = tf.math.log(held) - tf.math.log1p(-held)
        odds = logits[..., 1] - logits[..., 0]
        both = self.head * odds + self.peak * peak[:, tf.newaxis] + self.bias
        return tf.stack([-both / 2, both / 2], axis=-1)


HEAD_ONLY: Final = ScoreFusion()  # the pooled head as it is


def log_odds(heat: np.ndarray) -> np.ndarray:
    """Heat [n] -> its log-odds, kept within those of `MIN_HEAT` and 1 - `MIN_HEAT`."""
    held = np.clip(np.asarray(heat, np.float64), MIN_HEAT, 1 - MIN_HEAT)
    return np.log(held) - np.log1p(-held)


def fit_score_fusion(logits: np.ndarray, heat: np.ndarray, positive: np.ndarray) -> ScoreFusion:
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
        return HEAD_ONLY
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
    return ScoreFusion(*(float(weight) for weight in found))
