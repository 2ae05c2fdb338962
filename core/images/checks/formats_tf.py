"""Names image formats that are not supported with TensorFlow ops, for the SavedModel."""

import tensorflow as tf

from core.images.checks.formats import (
    DCT_FRAMES,
    DEEP_JPEG,
    FORMATS,
    HEAD,
    MISPLACED,
    OTHER_FRAMES,
    Parts,
)
from core.images.rules import JPEG_SIGNATURE, PNG_SIGNATURE

_LENGTHS = (11, 14, 17, 20)  # of the header of a frame with one to four components, bytes


def unsupported_format(content: tf.Tensor) -> tf.Tensor:
    """Names a file that is neither JPEG nor PNG; see `formats.unsupported_format`.

    Args:
      content: scalar string.

    Returns:
      Scalar string: name and advice, or "".
    """
    head = tf.strings.substr(content, 0, HEAD)
    text = tf.constant("")
    for parts, name in reversed(FORMATS):
        text = tf.where(_matches(head, parts), name, text)
    stripped = tf.strings.strip(head)
    misplaced = tf.reduce_any(
        [_matches(stripped, ((0, magic),)) for magic in (JPEG_SIGNATURE, PNG_SIGNATURE)]
    )
    return tf.where(misplaced, MISPLACED, text)


def unsupported_jpeg(content: tf.Tensor) -> tf.Tensor:
    """Names a JPEG file that cannot be decoded because of its kind of frame, otherwise ""."""
    octets = tf.cast(tf.io.decode_raw(content, tf.uint8), tf.int32)
    count = tf.maximum(tf.size(octets) - 4, 0)
    first, marker, high, low, bits = (octets[at : at + count] for at in range(5))
    is_frame = tf.equal(first, 0xFF) & tf.equal(high, 0) & _is_in(low, _LENGTHS)
    deep = tf.reduce_any(is_frame & _is_in(marker, DCT_FRAMES) & (bits > 8))
    text = tf.where(deep, DEEP_JPEG, "")
    for code, name in OTHER_FRAMES.items():
        text = tf.where(tf.reduce_any(is_frame & tf.equal(marker, code)), name, text)
    return text


def _matches(content: tf.Tensor, parts: Parts) -> tf.Tensor:
    end = tf.strings.length(content)
    found = [
        tf.equal(tf.strings.substr(content, tf.minimum(at, end), len(part)), part)
        for at, part in parts
    ]
    return tf.reduce_all(found)


def _is_in(values: tf.Tensor, choices: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any([tf.equal(values, choice) for choice in choices], axis=0)
