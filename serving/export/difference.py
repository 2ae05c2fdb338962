"""Largest difference between the probabilities of two networks."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

BOUND: Final = 1e-5  # accepted change of a probability


def difference(
    one: "Callable[[tf.Tensor], tf.Tensor]",
    other: "Callable[[tf.Tensor], tf.Tensor]",
    size: int,
) -> float:
    """Returns the largest difference between probabilities of two networks on a few images.

    Args:
      one: float32 [n, size, size, 1] in 0 to 255 -> logits float32 [n, members, classes].
      other: the same.
      size: side of the images, pixels.
    """
    import numpy as np
    import tensorflow as tf

    from serving.export.warmup import example_images

    drawing = tf.io.decode_png(example_images(size)[-1], channels=1).numpy()
    noise = np.random.default_rng(0).integers(0, 256, drawing.shape)
    pictures = np.stack(
        [drawing, drawing[:, ::-1] // 2, 255 - drawing, noise, (drawing + noise) / 2]
    )
    pixels = tf.constant(np.round(pictures), tf.float32)
    differences = tf.abs(tf.nn.softmax(one(pixels)) - tf.nn.softmax(other(pixels)))
    return float(tf.reduce_max(differences))
