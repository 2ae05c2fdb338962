"""Resizes gray images to the square of the model, with TensorFlow ops.

The functions give bit-equal results when run eagerly, in `tf.data`, in the Transform graph and in
the SavedModel. `core.images.boxes` converts boxes in the same way.
"""

import tensorflow as tf

from core.images.decode_tf import decode_gray
from core.images.rules import FITS


def resize_gray(gray: tf.Tensor, size: int, fit: str) -> tf.Tensor:
    """Resizes a gray image to a square, antialiased and rounded to whole gray levels.

    Args:
      gray: uint8 [height, width, 1].
      size: side of the result, pixels.
      fit: "stretch" (changes the aspect ratio), "pad" (keeps it and adds black borders) or "crop"
        (keeps it and cuts the ends of the long side off).

    Returns:
      uint8 [size, size, 1].
    """
    if fit not in FITS:
        raise ValueError(f"fit must be one of {', '.join(FITS)}, not {fit!r}")
    if fit == "crop":
        # Cut before resizing, in whole stored pixels: the pixels beyond are not blended in.
        shape = tf.shape(gray)[:2]
        short = tf.reduce_min(shape)
        top, left = tf.unstack((shape - short) // 2)
        gray = gray[top : top + short, left : left + short]
    pixels = tf.cast(gray, tf.float32)
    if fit != "pad":
        pixels = tf.image.resize(pixels, [size, size], method="bilinear", antialias=True)
    else:
        # tf.image.resize_with_pad fails if the short side rounds to 0.
        shape = tf.shape(gray)[:2]
        sides = tf.cast(shape, tf.float32) * (size / tf.cast(tf.reduce_max(shape), tf.float32))
        inner = tf.clip_by_value(tf.cast(tf.round(sides), tf.int32), 1, size)
        pixels = tf.image.resize(pixels, inner, method="bilinear", antialias=True)
        # Not pad_to_bounding_box: its assertions would keep the decoder in a graph that only
        # computes labels.
        before = (size - inner) // 2
        borders = tf.stack([before, size - inner - before], axis=1)
        pixels = tf.pad(pixels, tf.concat([borders, [[0, 0]]], axis=0))
    rounded = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    return tf.ensure_shape(tf.cast(rounded, tf.uint8), [size, size, 1])


def to_png(encoded: tf.Tensor, size: int, fit: str) -> tf.Tensor:
    """Resizes image files and encodes them as gray PNG files, without loss.

    Args:
      encoded: string [n], JPEG or PNG files.
      size: side of the result, pixels.
      fit: see `resize_gray`.

    Returns:
      string [n].
    """

    def one(item: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(resize_gray(decode_gray(item), size, fit), compression=1)

    return tf.map_fn(one, encoded, fn_output_signature=tf.string)


def from_png(png: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes PNG files written by `to_png`, string [n], to uint8 [n, size, size, 1]."""
    return tf.map_fn(
        lambda item: tf.ensure_shape(tf.io.decode_png(item, channels=1), [size, size, 1]),
        png,
        fn_output_signature=tf.TensorSpec([size, size, 1], tf.uint8),
    )
