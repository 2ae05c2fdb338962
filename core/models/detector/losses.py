"""Losses of the dense head."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

ALPHA, BETA = 2.0, 4.0  # as published


def focal(heat: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """Focal loss with reduced penalty near a center (Law & Deng, 2018, equation 1).

    -(1-p)^2 log p at a center, -(1-y)^4 p^2 log(1-p) elsewhere, with y the heat of the target.

    Args:
      heat: float32 [n, h, w], 0..1; exactly 1 in the cells of centers.
      logits: float32 [n, h, w].

    Returns:
      float32 [n], sums over cells.
    """
    import tensorflow as tf

    p = tf.sigmoid(logits)
    at_center = (1 - p) ** ALPHA * tf.nn.softplus(-logits)
    elsewhere = (1 - heat) ** BETA * p**ALPHA * tf.nn.softplus(logits)
    return tf.reduce_sum(tf.where(heat >= 1.0, at_center, elsewhere), axis=[1, 2])


@dataclass(frozen=True)
class DetectorLoss:
    """Loss of the dense head per image.

    Attributes:
      boxes: mean number of boxes per training image. The losses are divided by it, so their scale
        does not depend on the share of images without boxes.
      size_weight: weight of the size loss.
      offset_weight: weight of the offset loss.
    """

    boxes: float
    size_weight: float
    offset_weight: float

    def parts(self, targets: "tf.Tensor", outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Returns the parts of the loss, name -> float32 [n].

        Args:
          targets: see `targets.center_targets`.
          outputs: of the head.
        """
        import tensorflow as tf

        weight = targets[..., 5]
        # L1 loss; of a logarithm, it is the relative error of a side.
        error = tf.abs(targets[..., 1:5] - outputs[..., 1:5]) * weight[..., tf.newaxis]
        # Normalized by the weight per peak, so a wide peak counts no more than a narrow one.
        weight_per_peak = tf.math.divide_no_nan(
            tf.reduce_sum(weight, axis=[1, 2]),
            tf.reduce_sum(tf.cast(targets[..., 0] >= 1.0, tf.float32), axis=[1, 2]),
        )
        each = tf.math.divide_no_nan(
            tf.reduce_sum(error, axis=[1, 2]), weight_per_peak[:, tf.newaxis]
        )
        return {
            "heat_loss": focal(targets[..., 0], outputs[..., 0]) / self.boxes,
            "size_loss": tf.reduce_sum(each[:, :2], axis=1) / self.boxes,
            "offset_loss": tf.reduce_sum(each[:, 2:], axis=1) / self.boxes,
        }

    def __call__(self, targets: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns the weighted sum of the parts, float32 [n]."""
        parts = self.parts(targets, outputs)
        return (
            parts["heat_loss"]
            + self.size_weight * parts["size_loss"]
            + self.offset_weight * parts["offset_loss"]
        )
