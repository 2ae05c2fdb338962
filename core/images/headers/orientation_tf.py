"""Reads the EXIF orientation of JPEG and PNG files with TensorFlow ops, as `orientation` does."""

import tensorflow as tf

from core.images.headers.orientation import BIG_ENDIAN, ENTRY, INTEGER_SIZES, LITTLE_ENDIAN
from core.images.headers.segments_tf import find_exif
from core.images.rules import ORIENTATION_TAG


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a file, int32 1 to 8; 1 if it is missing or invalid.

    Args:
      encoded: scalar string, the bytes of a JPEG or PNG file.
    """
    tiff = find_exif(encoded)
    signature = tf.strings.substr(tiff, 0, 4)
    little = tf.equal(signature, LITTLE_ENDIAN)
    return tf.cond(
        tf.logical_or(little, tf.equal(signature, BIG_ENDIAN)),
        lambda: _orientation_of_tiff(tf.io.decode_raw(tiff, tf.uint8), little),
        lambda: tf.constant(1),
    )


def _orientation_of_tiff(tiff: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
    """Reads the first directory of a TIFF structure, uint8 [n]."""
    size = tf.size(tiff, out_type=tf.int64)
    octets = tf.cast(tf.concat([tiff, tf.zeros([8], tf.uint8)], 0), tf.int64)

    def number(parts: tf.Tensor, count: int) -> tf.Tensor:
        """Combines the last axis, `count` bytes, to an integer in the byte order of the header."""
        ordered = tf.where(little, tf.reverse(parts, [-1]), parts)
        total = tf.zeros(tf.shape(ordered)[:-1], tf.int64)
        for i in range(count):
            total = total * 256 + ordered[..., i]
        return total

    start = tf.minimum(number(octets[4:8], 4), size)
    count = number(octets[start : start + 2], 2)
    count = tf.clip_by_value(count, 0, tf.maximum(size - start - 2, 0) // ENTRY)
    entries = tf.reshape(octets[start + 2 : start + 2 + ENTRY * count], [count, ENTRY])
    kinds = number(entries[:, 2:4], 2)
    values = tf.ones_like(kinds)
    for kind, width in INTEGER_SIZES.items():
        values = tf.where(tf.equal(kinds, kind), number(entries[:, 8 : 8 + width], width), values)
    values = tf.where(tf.equal(number(entries[:, 4:8], 4), 1), values, tf.ones_like(values))
    found = tf.boolean_mask(values, tf.equal(number(entries[:, :2], 2), ORIENTATION_TAG))
    value = tf.concat([found, tf.ones([1], tf.int64)], 0)[0]
    return tf.cast(tf.where((value >= 1) & (value <= 8), value, tf.ones_like(value)), tf.int32)
