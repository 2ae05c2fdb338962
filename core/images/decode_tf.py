"""Decodes JPEG and PNG files to gray 8-bit pixels with TensorFlow ops.

The functions give bit-equal results when run eagerly, in `tf.data`, in the Transform graph and in
the SavedModel. `decode_pillow` gives the same pixels without TensorFlow.
"""

import functools
from typing import Final

import tensorflow as tf

from core.images.rules import ORIENTATION_TAG, ORIENTATIONS

# Luma of ITU-R BT.601 in 16-bit fixed point, as Pillow and libjpeg compute it.
_LUMA: Final = (19595, 38470, 7471)
_HEAD: Final = 65536  # bytes; an APP1 segment comes first and is at most this long


def decode_gray(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image as a viewer shows it, in gray.

    Gray, RGB, CMYK and progressive JPEG; gray, RGB, palette, alpha (dropped) and 16-bit PNG (scaled
    by 255/65535). EXIF orientation is applied.

    Args:
      encoded: scalar string, the bytes of a JPEG or PNG file.

    Returns:
      uint8 [height, width, 1].

    Raises:
      tf.errors.InvalidArgumentError: not a JPEG or PNG file, or a damaged one.
    """
    return orient(stored_gray(encoded), encoded)


def stored_gray(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image as stored, without applying the EXIF orientation.

    Args:
      encoded: scalar string, the bytes of a JPEG or PNG file.

    Returns:
      uint8 [height, width, 1].

    Raises:
      tf.errors.InvalidArgumentError: not a JPEG or PNG file, or a damaged one.
    """
    gray = tf.cond(
        tf.io.is_jpeg(encoded), lambda: _decode_jpeg(encoded), lambda: _decode_png(encoded)
    )
    return tf.ensure_shape(gray, [None, None, 1])


def orient(gray: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    """Applies the EXIF orientation of a file.

    Args:
      gray: uint8 [height, width, 1], as stored.
      encoded: scalar string, the bytes of the file.

    Returns:
      uint8 [height, width, 1], as displayed.
    """
    return _apply_orientation(gray, _orientation(encoded, tf.io.is_jpeg(encoded)))


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    def read(channels: int) -> tf.Tensor:
        # Pillow's (and libjpeg's) exact integer inverse DCT, so that both decode alike.
        return tf.io.decode_jpeg(encoded, channels=channels, dct_method="INTEGER_ACCURATE")

    # The luma of three equal planes equals the plane, and decoding one costs a third.
    is_gray = tf.equal(tf.io.extract_jpeg_shape(encoded)[2], 1)
    return tf.cond(is_gray, lambda: read(1), lambda: _luma(read(3)))


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    # Bytes 24 and 25 of a PNG are the bit depth and the color type.
    deep = tf.equal(tf.strings.substr(encoded, 24, 1), b"\x10")
    kind = tf.strings.substr(encoded, 25, 1)
    is_gray = tf.logical_or(tf.equal(kind, b"\x00"), tf.equal(kind, b"\x04"))

    def eight_bit(channels: int) -> tf.Tensor:
        return tf.io.decode_png(encoded, channels=channels)

    def sixteen_bit(channels: int) -> tf.Tensor:
        wide = tf.io.decode_png(encoded, channels=channels, dtype=tf.uint16)
        return tf.cast((tf.cast(wide, tf.int32) * 255 + 32767) // 65535, tf.uint8)

    def read(channels: int) -> tf.Tensor:
        return tf.cond(deep, lambda: sixteen_bit(channels), lambda: eight_bit(channels))

    return tf.cond(is_gray, lambda: read(1), lambda: _luma(read(3)))


def _luma(rgb: tf.Tensor) -> tf.Tensor:
    weighted = tf.cast(rgb, tf.int32) * tf.constant(_LUMA, tf.int32)
    total = tf.reduce_sum(weighted, axis=-1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(total + 0x8000, 16), tf.uint8)


def _orientation(encoded: tf.Tensor, is_jpeg: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation, int32 1 to 8; 1 if there is none."""
    head = tf.io.decode_raw(tf.strings.substr(encoded, 0, _HEAD), tf.uint8)
    # JPEG: APP1 payload "Exif\0\0" + TIFF. PNG: chunk type "eXIf" + TIFF.
    marker = tf.cond(
        is_jpeg,
        lambda: tf.constant([0x45, 0x78, 0x69, 0x66, 0, 0], tf.uint8),
        lambda: tf.constant([0x65, 0x58, 0x49, 0x66], tf.uint8),
    )
    width = tf.size(marker)
    room = tf.maximum(tf.size(head) - width, 0)
    matches = tf.fill([room], True)
    for i in range(4):
        matches = tf.logical_and(matches, tf.equal(head[i : i + room], marker[i]))
    at = tf.where(matches)
    return tf.cond(
        tf.size(at) > 0,
        lambda: _read_orientation(head[tf.cast(at[0, 0], tf.int32) + width :]),
        lambda: tf.constant(1),
    )


def _read_orientation(tiff: tf.Tensor) -> tf.Tensor:
    """Reads the orientation in the first IFD of a TIFF header, uint8 [n]; 1 if it is damaged."""
    octets = tf.cast(tf.concat([tiff, tf.zeros([16], tf.uint8)], 0), tf.int32)
    size = tf.size(octets)
    little = tf.equal(octets[0], 0x49)

    def number(parts: tf.Tensor) -> tf.Tensor:
        """Combines the last axis, bytes, to an integer in the byte order of the header."""
        ordered = tf.where(little, tf.reverse(parts, [-1]), parts)
        total = tf.zeros(tf.shape(ordered)[:-1], tf.int32)
        for i in range(parts.shape[-1]):
            total = total * 256 + ordered[..., i]
        return total

    start = tf.clip_by_value(number(tf.ensure_shape(octets[4:8], [4])), 0, size - 2)
    count = number(tf.ensure_shape(octets[start : start + 2], [2]))
    count = tf.clip_by_value(count, 0, (size - start - 2) // 12)
    entries = tf.reshape(octets[start + 2 : start + 2 + 12 * count], [count, 12])
    is_tag = tf.equal(number(entries[:, :2]), ORIENTATION_TAG)
    values = tf.boolean_mask(number(entries[:, 8:10]), is_tag)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _apply_orientation(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Applies an EXIF orientation, 1 to 8, to an image [h, w, 1]."""

    def displayed(transpose: bool, flip_rows: bool, flip_columns: bool) -> tf.Tensor:
        result = tf.transpose(image, [1, 0, 2]) if transpose else image
        return result[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]

    cases = [functools.partial(displayed, *ORIENTATIONS[value]) for value in range(1, 9)]
    result = tf.switch_case(orientation - 1, cases)
    return tf.ensure_shape(result, [None, None, 1])
