"""Decodes JPEG and PNG files to gray 8-bit pixels with TensorFlow ops.

The functions give bit-equal results when run eagerly, in `tf.data`, in the Transform graph and in
the SavedModel. `decode_pillow` gives the same pixels without TensorFlow.
"""

import functools

import tensorflow as tf

from core.images.headers.depth_tf import to_eight_bits
from core.images.headers.orientation_tf import exif_orientation
from core.images.rules import LUMA, ORIENTATIONS


def decode_gray(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image as a viewer shows it, in gray.

    Gray, RGB, CMYK and progressive JPEG; gray, RGB, palette, alpha (dropped) and 16-bit PNG (scaled
    by its depth). EXIF orientation is applied.

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
    return to_gray(stored_planes(encoded))


def stored_planes(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image as stored, with its colors.

    Args:
      encoded: scalar string, the bytes of a JPEG or PNG file.

    Returns:
      uint8 [height, width, 1], or [height, width, 3] if the file has colors.

    Raises:
      tf.errors.InvalidArgumentError: not a JPEG or PNG file, or a damaged one.
    """
    planes = tf.cond(
        tf.io.is_jpeg(encoded), lambda: _decode_jpeg(encoded), lambda: _decode_png(encoded)
    )
    return tf.ensure_shape(planes, [None, None, None])


def to_gray(planes: tf.Tensor) -> tf.Tensor:
    """Returns the luma of planes from `stored_planes`, uint8 [height, width, 1]."""
    gray = tf.cond(tf.equal(tf.shape(planes)[2], 1), lambda: planes, lambda: _luma(planes))
    return tf.ensure_shape(gray, [None, None, 1])


def orient(gray: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    """Applies the EXIF orientation of a file.

    Args:
      gray: uint8 [height, width, 1], as stored.
      encoded: scalar string, the bytes of the file.

    Returns:
      uint8 [height, width, 1], as displayed.
    """
    return _apply_orientation(gray, exif_orientation(encoded))


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    def read(channels: int) -> tf.Tensor:
        # Pillow's (and libjpeg's) exact integer inverse DCT, so that both decode alike.
        return tf.io.decode_jpeg(encoded, channels=channels, dct_method="INTEGER_ACCURATE")

    # The luma of three equal planes equals the plane, and decoding one costs a third.
    is_gray = tf.equal(tf.io.extract_jpeg_shape(encoded)[2], 1)
    return tf.cond(is_gray, lambda: read(1), lambda: read(3))


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    # Bytes 24 and 25 of a PNG are the bit depth and the color type.
    deep = tf.equal(tf.strings.substr(encoded, 24, 1), b"\x10")
    kind = tf.strings.substr(encoded, 25, 1)
    is_gray = tf.logical_or(tf.equal(kind, b"\x00"), tf.equal(kind, b"\x04"))

    def eight_bit(channels: int) -> tf.Tensor:
        return tf.io.decode_png(encoded, channels=channels)

    def sixteen_bit(channels: int) -> tf.Tensor:
        wide = tf.io.decode_png(encoded, channels=channels, dtype=tf.uint16)
        return to_eight_bits(wide, encoded)

    def read(channels: int) -> tf.Tensor:
        return tf.cond(deep, lambda: sixteen_bit(channels), lambda: eight_bit(channels))

    return tf.cond(is_gray, lambda: read(1), lambda: read(3))


def _luma(rgb: tf.Tensor) -> tf.Tensor:
    weighted = tf.cast(rgb, tf.int32) * tf.constant(LUMA, tf.int32)
    total = tf.reduce_sum(weighted, axis=-1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(total + 0x8000, 16), tf.uint8)


def _apply_orientation(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Applies an EXIF orientation, 1 to 8, to an image [h, w, 1]."""

    def displayed(transpose: bool, flip_rows: bool, flip_columns: bool) -> tf.Tensor:
        result = tf.transpose(image, [1, 0, 2]) if transpose else image
        return result[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]

    cases = [functools.partial(displayed, *ORIENTATIONS[value]) for value in range(1, 9)]
    result = tf.switch_case(orientation - 1, cases)
    return tf.ensure_shape(result, [None, None, 1])
