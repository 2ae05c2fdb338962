"""Difference between the probabilities of two networks."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

BOUND: Final = 1e-5  # a probability may change so much, and no more


def difference(
    one: "Callable[[tf.Tensor], tf.Tensor]",
    other: "Callable[[tf.Tensor], tf.Tensor]",
    size: int,
) -> float:
    """The largest difference between probabilities of two networks on a few pictures.

    Args:
      one: float32 [n, size, size, 1] in 0..255 -> logits float32 [n, members, classes].
      other: the same.
      size: side of the images, pixels.
    """
    import numpy as np
    import tensorflow as tf

    from serving.export.warmup import picture_files

    drawn = tf.io.decode_png(picture_files(size)[-1], channels=1).numpy()
    noise = np.random.default_rng(0).integers(0, 256, drawn.shape)
    pictures = np.stack([drawn, drawn[:, ::-1] // 2, 255 - drawn, noise, (drawn + noise) / 2])
    pixels = tf.constant(np.round(pictures), tf.float32)
    apart = tf.abs(tf.nn.softmax(one(pixels)) - tf.nn.softmax(other(pixels)))
    return float(tf.reduce_max(apart))
