"""Finds segments of JPEG files and chunks of PNG files with TensorFlow ops, as `segments` does."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from core.images.headers.segments import (
    APP1,
    END_CHUNK,
    EXIF_CHUNK,
    EXIF_HEADER,
    FIRST_BARE,
    LAST_BARE,
    LAST_MARKERS,
    MAX_SEGMENTS,
    TEM,
)
from core.images.rules import PNG_SIGNATURE

_JPEG, _PNG = 2, len(PNG_SIGNATURE)  # offsets of the first segment and chunk
_ALL = 2**31 - 1  # length that substr cuts at the end
_NONE = np.int64(-1)


def find_exif(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the TIFF structure of the first EXIF segment or chunk, string; "" without one.

    Args:
      encoded: scalar string, the bytes of a JPEG or PNG file.
    """

    def in_jpeg() -> tf.Tensor:
        return _body_if_contained(encoded, EXIF_HEADER, _find_jpeg_exif)

    def in_png() -> tf.Tensor:
        body = find_chunk(encoded, EXIF_CHUNK)
        prefix = tf.equal(tf.strings.substr(body, 0, len(EXIF_HEADER)), EXIF_HEADER)
        return tf.strings.substr(body, tf.where(prefix, len(EXIF_HEADER), 0), _ALL)

    return tf.cond(tf.io.is_jpeg(encoded), in_jpeg, in_png)


def find_chunk(encoded: tf.Tensor, name: bytes) -> tf.Tensor:
    """Returns the body of the first PNG chunk with a name, string; "" without one."""
    return _body_if_contained(encoded, name, lambda octets: _find_chunk(octets, name))


def _body_if_contained(
    encoded: tf.Tensor, name: bytes, find: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Calls `find` only for the few files that contain the bytes, because it copies the file."""
    pieces = tf.raw_ops.StringSplitV2(input=tf.expand_dims(encoded, 0), sep=name, maxsplit=1).values

    def body() -> tf.Tensor:
        start, end = tf.unstack(find(tf.io.decode_raw(encoded, tf.uint8)))
        return tf.strings.substr(encoded, start, tf.maximum(end - start, 0))

    return tf.cond(tf.size(pieces) > 1, body, lambda: tf.constant(b""))


def _walk(
    octets: tf.Tensor,
    first: int,
    step: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]],
) -> tf.Tensor:
    """Steps from segment to segment until one is found.

    Args:
      octets: uint8 [n].
      first: offset of the first segment.
      step: offset of a segment -> offset of the next one (-1 after the last), start and end of the
        body (0, 0 if it is not the one), int64.

    Returns:
      Start and end of the body in the file, int64 [2].
    """
    size = tf.size(octets, out_type=tf.int64)

    def body(at: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        following, start, end = step(at)
        return following, tf.stack([start, tf.minimum(end, size)])

    def searching(at: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return (at >= 0) & (at + 8 <= size) & tf.equal(found[1], 0)

    start = (tf.constant(first, tf.int64), tf.zeros([2], tf.int64))
    return tf.while_loop(
        searching, body, start, parallel_iterations=1, maximum_iterations=MAX_SEGMENTS
    )[1]


def _find_jpeg_exif(octets: tf.Tensor) -> tf.Tensor:
    header = len(EXIF_HEADER)

    def step(at: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        marker = octets[at + 1]
        end = at + 2 + _number(octets[at + 2 : at + 4], 2)
        bare = tf.equal(marker, TEM) | ((marker >= FIRST_BARE) & (marker <= LAST_BARE))
        last = tf.reduce_any(tf.equal(marker, LAST_MARKERS)) | (octets[at] < 0xFF)
        following = tf.where(tf.equal(marker, 0xFF), at + 1, tf.where(bare, at + 2, end))
        is_exif = _equal(octets[at + 4 : at + 4 + header], EXIF_HEADER) & tf.equal(marker, APP1)
        is_exif &= tf.logical_not(last)
        zero = tf.zeros_like(at)
        return (
            tf.where(last, _NONE, following),
            tf.where(is_exif, at + 4 + header, zero),
            tf.where(is_exif, end, zero),
        )

    return _walk(octets, _JPEG, step)


def _find_chunk(octets: tf.Tensor, wanted: bytes) -> tf.Tensor:
    def step(at: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        name = octets[at + 4 : at + 8]
        end = at + 8 + _number(octets[at : at + 4], 4)
        found, zero = _equal(name, wanted), tf.zeros_like(at)
        return (
            tf.where(_equal(name, END_CHUNK), _NONE, end + 4),
            tf.where(found, at + 8, zero),
            tf.where(found, end, zero),
        )

    return _walk(octets, _PNG, step)


def _equal(octets: tf.Tensor, expected: bytes) -> tf.Tensor:
    """Returns whether uint8 [n] are the expected bytes; false if there are fewer."""
    missing = len(expected) - tf.size(octets)
    padded = tf.pad(octets, [[0, missing]], constant_values=255)
    return tf.reduce_all(tf.equal(padded, tf.constant(list(expected), tf.uint8)))


def _number(octets: tf.Tensor, count: int) -> tf.Tensor:
    """Combines uint8 [count] to an int64, the most significant byte first."""
    total = tf.zeros([], tf.int64)
    for part in tf.unstack(tf.cast(tf.ensure_shape(octets, [count]), tf.int64)):
        total = total * 256 + part
    return total
