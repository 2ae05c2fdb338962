"""Image score of a detector: logistic regression on the image head and the strongest box.

A small opacity changes a global average only slightly, but it is a peak of the heat map; and an
image that is predicted negative but shows a confident box would be inconsistent. A logistic
regression, fitted on validation before temperature and operating point, combines the two.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.models.detector.decode import MIN_HEAT

if TYPE_CHECKING:
    import tensorflow as tf

_PENALTY = 0.01  # L2 on the weights; keeps them finite if an input separates the classes


@dataclass(frozen=True)
class ScoreFusion:
    """Log-odds of an image = head * (log-odds of the head) + peak * (log-odds of the box) + bias.

    Attributes:
      head: weight of the log-odds of the classification head.
      peak: weight of the log-odds of the heat of the strongest box.
      bias: in log-odds.
    """

    head: float = 1.0
    peak: float = 0.0
    bias: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Returns the weights for JSON."""
        return asdict(self)

    def fuse(self, logits: np.ndarray, heat: np.ndarray) -> np.ndarray:
        """Combines the logits of the heads with the heat of the strongest box.

        Args:
          logits: float [n, members, 2].
          heat: float [n], 0..1; values below `MIN_HEAT`, also -1 for no box, count as `MIN_HEAT`.

        Returns:
          float32 [n, members, 2]; the difference of the two logits is the fused log-odds.
        """
        odds = logits[..., 1] - logits[..., 0]
        fused = self.head * odds + self.peak * log_odds(heat)[:, np.newaxis] + self.bias
        return np.stack([-fused / 2, fused / 2], axis=-1).astype(np.float32)

    def fuse_tensor(self, logits: "tf.Tensor", heat: "tf.Tensor") -> "tf.Tensor":
        """`fuse` for tensors."""
        import tensorflow as tf

        clipped = tf.clip_by_value(heat, MIN_HEAT, 1.0 - MIN_HEAT)
        peak = tf.math.log(clipped) - tf.math.log1p(-clipped)
        odds = logits[..., 1] - logits[..., 0]
        fused = self.head * odds + self.peak * peak[:, tf.newaxis] + self.bias
        return tf.stack([-fused / 2, fused / 2], axis=-1)


HEAD_ONLY: Final = ScoreFusion()


def log_odds(heat: np.ndarray) -> np.ndarray:
    """Returns the log-odds of heat [n], clipped to `MIN_HEAT`..1 - `MIN_HEAT`."""
    clipped = np.clip(np.asarray(heat, np.float64), MIN_HEAT, 1 - MIN_HEAT)
    return np.log(clipped) - np.log1p(-clipped)


def fit_score_fusion(logits: np.ndarray, heat: np.ndarray, positive: np.ndarray) -> ScoreFusion:
    """Fits the weights on validation.

    Args:
      logits: float [n, members, 2] of the heads; their mean log-odds are used.
      heat: float [n], of the strongest box.
      positive: int [n]: 1, 0, or -1 for images to ignore.

    Returns:
      Nonnegative weights; `HEAD_ONLY` if all images are positive or all are negative.
    """
    from scipy.optimize import minimize

    known = positive >= 0
    truth = positive[known].astype(np.float64)
    if not len(truth) or truth.min() == truth.max():
        return HEAD_ONLY
    odds = (logits[..., 1] - logits[..., 0]).mean(axis=1)[known].astype(np.float64)
    inputs = np.stack([odds, log_odds(heat)[known], np.ones_like(truth)], axis=1)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        fused = inputs @ weights
        cost = np.logaddexp(0.0, fused) - truth * fused
        gradient = 1 / (1 + np.exp(-fused)) - truth
        penalty = _PENALTY * weights * [1, 1, 0]
        return float(cost.sum() + (penalty @ weights) / 2), inputs.T @ gradient + penalty

    # A negative weight would invert an input.
    weights = minimize(
        loss,
        np.array([1.0, 0.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
    ).x
    return ScoreFusion(*(float(weight) for weight in weights))
