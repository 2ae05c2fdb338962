"""Losses of the dense head."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

ALPHA, BETA = 2.0, 4.0  # as published


def focal(heat: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """Focal loss with less penalty near a centre (Law & Deng 2018, equation 1).

    -(1-p)^2 log p at a centre, -(1-y)^4 p^2 log(1-p) elsewhere, y the heat of the target.

    Args:
      heat: float32 [n, h, w], 0..1, 1 in cells of centres alone.
      logits: float32 [n, h, w].

    Returns:
      float32 [n], sums over cells.
    """
    import tensorflow as tf

    p = tf.sigmoid(logits)
    at_centre = (1 - p) ** ALPHA * tf.nn.softplus(-logits)
    elsewhere = (1 - heat) ** BETA * p**ALPHA * tf.nn.softplus(logits)
    return tf.reduce_sum(tf.where(heat >= 1.0, at_centre, elsewhere), axis=[1, 2])


@dataclass(frozen=True)
class DetectorLoss:
    """The loss of an image, and its parts.

    Attributes:
      boxes: mean number of boxes of a training image. The losses are divided by it: so they stand
        for one box, whatever the share of images without one, and add up over images.
      size_weight: of the loss of sizes.
      offset_weight: of the loss of offsets.
    """

    boxes: float
    size_weight: float
    offset_weight: float

    def parts(self, targets: "tf.Tensor", outputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """What `targets.center_targets` gives and what the head says -> name -> float32 [n]."""
        import tensorflow as tf

        weight = targets[..., 5]
        # L1; that of a logarithm is the relative error of a side.
        apart = tf.abs(targets[..., 1:5] - outputs[..., 1:5]) * weight[..., tf.newaxis]
        # A peak counts once, however many cells it is wide.
        wide = tf.math.divide_no_nan(
            tf.reduce_sum(weight, axis=[1, 2]),
            tf.reduce_sum(tf.cast(targets[..., 0] >= 1.0, tf.float32), axis=[1, 2]),
        )
        each = tf.math.divide_no_nan(tf.reduce_sum(apart, axis=[1, 2]), wide[:, tf.newaxis])
        return {
            "heat_loss": focal(targets[..., 0], outputs[..., 0]) / self.boxes,
            "size_loss": tf.reduce_sum(each[:, :2], axis=1) / self.boxes,
            "offset_loss": tf.reduce_sum(each[:, 2:], axis=1) / self.boxes,
        }

    def __call__(self, targets: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor":
        """float32 [n]."""
        parts = self.parts(targets, outputs)
        return (
            parts["heat_loss"]
            + self.size_weight * parts["size_loss"]
            + self.offset_weight * parts["offset_loss"]
        )
