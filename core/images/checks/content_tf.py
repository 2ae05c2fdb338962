"""Computes the checks of `content` with TensorFlow ops, for the SavedModel."""

from typing import Final

import tensorflow as tf

from core.images.checks.content import (
    BAND,
    BAND_SHARE,
    BLANK_SHARE,
    BRIGHT_SIDES,
    CHROMA,
    COLOR_SHARE,
    DARK_SPINE,
    FEW_SHARE,
    FEW_VALUES,
    SAMPLED_SIDE,
    regions,
)
from core.images.rules import (
    BLANK,
    COLOR_PHOTO,
    FEW_GRAY_VALUES,
    INVERTED,
    LOW_CONTRAST,
    LOW_RESOLUTION,
    OK,
)

MAX_ENLARGED: Final = 4  # an image is enlarged at most so much to the size of the model


def content_status(gray: tf.Tensor, planes: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the status of a decoded image, a scalar string.

    Args:
      gray: uint8 [height, width, 1], as displayed.
      planes: uint8 [height, width, 1 or 3], as stored.
      size: side of the model's images, pixels.
    """
    small = tf.reduce_min(tf.shape(gray)[:2]) * MAX_ENLARGED < size
    gray = _sampled(gray)[..., 0]
    problems = (
        (small, LOW_RESOLUTION),
        *_gray_values_problems(gray),
        (_is_colored(_sampled(planes)), COLOR_PHOTO),
        (_is_inverted(gray), INVERTED),
    )
    status = tf.constant(OK)
    for found, code in reversed(problems):
        status = tf.where(found, code, status)
    return status


def _sampled(pixels: tf.Tensor) -> tf.Tensor:
    step = tf.maximum(tf.reduce_min(tf.shape(pixels)[:2]) // SAMPLED_SIDE, 1)
    return pixels[::step, ::step]


def _gray_values_problems(gray: tf.Tensor) -> tuple[tuple[tf.Tensor, str], ...]:
    values = tf.cast(tf.reshape(gray, [-1]), tf.int32)
    counts = tf.math.bincount(values, minlength=256, maxlength=256, dtype=tf.int64)
    total = tf.size(gray, out_type=tf.int64)
    below = tf.pad(tf.cumsum(counts), [[1, 0]])
    frequent = tf.cumsum(tf.sort(counts, direction="DESCENDING"))
    band = tf.reduce_max(below[BAND:] - below[:-BAND])
    return (
        (frequent[0] * 100 >= BLANK_SHARE * total, BLANK),
        (band * 100 >= BAND_SHARE * total, LOW_CONTRAST),
        (frequent[FEW_VALUES - 1] * 100 >= FEW_SHARE * total, FEW_GRAY_VALUES),
    )


def _is_colored(planes: tf.Tensor) -> tf.Tensor:
    chroma = tf.reduce_max(planes, -1) - tf.reduce_min(planes, -1)
    colored, total = tf.math.count_nonzero(chroma > CHROMA), tf.size(chroma, out_type=tf.int64)
    return colored * 100 >= COLOR_SHARE * total


def _is_inverted(gray: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(gray)

    def mean(parts: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]]) -> tf.Tensor:
        pixels = tf.concat(
            [tf.reshape(gray[top:bottom, left:right], [-1]) for top, bottom, left, right in parts],
            0,
        )
        return tf.reduce_mean(tf.cast(pixels, tf.float64))

    spine, sides, lungs = map(mean, regions(shape[0], shape[1]))
    return (sides >= BRIGHT_SIDES) & (spine < tf.minimum(sides - DARK_SPINE, lungs))
