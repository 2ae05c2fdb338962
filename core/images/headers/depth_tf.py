"""Depth of 16-bit PNG files with TensorFlow ops, as in `depth`."""

import tensorflow as tf

from core.images.headers.depth import CHANNELS, LEAST, MOST, OUTLIERS
from core.images.headers.segments import BITS_CHUNK
from core.images.headers.segments_tf import find_chunk


def to_eight_bits(wide: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    """Scales the samples of a 16-bit PNG file to 8 bits by their depth.

    Args:
      wide: uint16 [height, width, channels], without alpha.
      encoded: scalar string, the bytes of the file.

    Returns:
      uint8 [height, width, channels].
    """
    values = tf.cast(wide, tf.int32)
    white = tf.bitwise.left_shift(1, _used_bits(values, _significant_bits(encoded))) - 1
    scaled = (values * 255 + white // 2) // white
    return tf.cast(tf.clip_by_value(scaled, 0, 255), tf.uint8)


def _significant_bits(encoded: tf.Tensor) -> tf.Tensor:
    body = tf.cast(tf.io.decode_raw(find_chunk(encoded, BITS_CHUNK), tf.uint8), tf.int32)
    is_color = tf.equal(tf.strings.substr(encoded, 25, 1), [bytes([n]) for n in _COLORED])
    channels = tf.where(tf.reduce_any(is_color), 3, 1)
    bits = tf.reduce_max(tf.concat([body[:channels], [0]], 0))
    return tf.where((tf.size(body) >= channels) & (bits <= MOST), bits, 0)


_COLORED = [kind for kind, channels in CHANNELS.items() if channels == 3]


def _used_bits(values: tf.Tensor, significant: tf.Tensor) -> tf.Tensor:
    high = tf.reshape(tf.bitwise.right_shift(values, 8), [-1])
    counts = tf.math.bincount(high, minlength=256, maxlength=256, dtype=tf.int64)
    above = tf.stack([tf.reduce_sum(counts[1 << n :]) for n in range(MOST - LEAST)])
    exceeded = above * 1000 > OUTLIERS * tf.size(values, out_type=tf.int64)
    needed = LEAST + tf.reduce_sum(tf.cast(exceeded, tf.int32))
    declared = tf.maximum(significant, LEAST)
    fitting = tf.where(needed <= declared, declared, MOST)
    return tf.where(significant > 0, fitting, needed)
