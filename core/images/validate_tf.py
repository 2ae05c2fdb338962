"""Validates and decodes batches of image files inside the SavedModel: pixels and a status for each.

A model server combines the images of several clients in one batch, where an op that raises fails
the whole batch. Every op that may raise therefore runs in a `tf.data` pipeline in the graph, whose
`ignore_errors` drops undecodable images. A rejected or dropped image becomes black, and its status
has the reason. An image that can be decoded but is no radiograph keeps its pixels and has a status
too. Only core ops are used, which every server has.

`validate_pillow` has the checks of ingest; both follow `rules`.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import tensorflow as tf

from core.images.checks.content_tf import content_status
from core.images.checks.formats_tf import unsupported_format, unsupported_jpeg
from core.images.decode_tf import orient, stored_planes, to_gray
from core.images.resize_tf import resize_gray
from core.images.rules import (
    BLOCK,
    DAMAGED,
    EMPTY,
    JPEG_END,
    JPEG_PROGRESSIVE,
    JPEG_SCAN,
    JPEG_SIGNATURE,
    MAX_SCANS,
    MISSING_GRAY,
    NOT_JPEG_OR_PNG,
    OK,
    PNG_END,
    PNG_SIGNATURE,
    STATUS_MESSAGES,
    TAIL,
    TOO_MANY_BYTES,
    TOO_MANY_PIXELS,
    TOO_SMALL,
    TRUNCATED,
    UNSUPPORTED_JPEG,
    ImageLimits,
)

_PARALLEL: Final = 2  # images decoded at a time; each takes up to 20 bytes per pixel


class DecodedBatch(NamedTuple):
    """Result of `decode_batch` for n files.

    Attributes:
      pixels: uint8 [n, size, size, 1], black for a rejected image.
      status: string [n], a key of `rules.STATUS_MESSAGES`; one of `rules.CONTENT_STATUSES` for an
        image that is decoded but is no radiograph.
      reason: string [n], why there is no prediction, with details; "" for the status OK.
      sides: int64 [n, 2], height and width of the displayed image (EXIF orientation applied),
        pixels; 0 for a rejected image.
    """

    pixels: tf.Tensor
    status: tf.Tensor
    reason: tf.Tensor
    sides: tf.Tensor


def decode_batch(contents: tf.Tensor, size: int, fit: str, limits: ImageLimits) -> DecodedBatch:
    """Validates, decodes and resizes a batch; never raises because of the content of a file.

    Args:
      contents: string [n], bytes of files.
      size: side of the resized images, pixels.
      fit: "stretch", "pad" or "crop", see `core.images.resize_tf.resize_gray`.
      limits: limits of an image.
    """
    count = tf.shape(contents)[0]
    # An empty file is appended, which is rejected without decoding. The dataset therefore has at
    # least one element, and dropped images are replaced by the last one.
    padded = tf.concat([contents, tf.constant([b""])], 0)
    images = tf.data.Dataset.from_tensor_slices((tf.range(count + 1), padded)).map(
        lambda index, content: (index, *_decode_one(content, size, fit, limits)),
        num_parallel_calls=_PARALLEL,
    )
    images = images.ignore_errors().batch(tf.cast(count, tf.int64) + 1).with_options(_options())
    kept, status, pixels, sides = images.get_single_element()
    last = tf.size(kept) - 1
    rows = tf.tensor_scatter_nd_update(
        tf.fill([count + 1], last), kept[:, tf.newaxis], tf.range(last + 1)
    )[:count]
    dropped = tf.equal(rows, last)
    status = tf.cond(
        tf.reduce_any(dropped),
        lambda: tf.where(dropped, _decode_errors(contents, dropped), tf.gather(status, rows)),
        lambda: tf.gather(status, rows),
    )
    pixels = tf.ensure_shape(tf.gather(pixels, rows), [None, size, size, 1])
    return DecodedBatch(pixels, *_code_and_reason(status), tf.gather(sides, rows))


def _code_and_reason(status: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits "CODE" or "CODE: detail" into the code and "message" or "message (detail)"."""
    code = tf.strings.regex_replace(status, r"(?s):.*", "")
    detail = tf.strings.regex_replace(status, r"^[A-Z_]+(: )?", "")
    matches = tf.equal(code[:, tf.newaxis], tf.constant(list(STATUS_MESSAGES)))
    index = tf.argmax(tf.cast(matches, tf.int32), axis=1)
    message = tf.gather(tf.constant(list(STATUS_MESSAGES.values())), index)
    with_detail = tf.strings.join([message, " (", detail, ")"])
    return code, tf.where(tf.equal(detail, ""), message, with_detail)


def _options() -> tf.data.Options:
    """Disables autotuning and graph rewriting, which cost more than decoding a few images."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.deterministic = True
    return options


def _decode_one(
    content: tf.Tensor, size: int, fit: str, limits: ImageLimits
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns status, pixels [size, size, 1] and sides [2]; raises if the file is undecodable."""
    black, no_sides = tf.zeros([size, size, 1], tf.uint8), tf.zeros([2], tf.int64)

    def accept(stored: tf.Tensor, planes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        displayed = orient(stored, content)
        sides = tf.cast(tf.shape(displayed)[:2], tf.int64)
        status = tf.constant(OK)
        if limits.check_content:
            status = content_status(displayed, planes, size)
        return status, resize_gray(displayed, size, fit), sides

    def decode() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        planes = stored_planes(content)
        stored = to_gray(planes)
        truncated = _status(TRUNCATED, "the last rows are missing from the JPEG data")
        return tf.cond(
            _lacks_last_rows(stored, content),
            lambda: (truncated, black, no_sides),
            lambda: accept(stored, planes),
        )

    error = _header_error(content, limits)
    return tf.cond(tf.equal(error, ""), decode, lambda: (error, black, no_sides))


def _header_error(content: tf.Tensor, limits: ImageLimits) -> tf.Tensor:
    """Returns the status of a file that is rejected without decoding, "" for any other."""
    length = tf.strings.length(content)
    is_jpeg = tf.equal(tf.strings.substr(content, 0, len(JPEG_SIGNATURE)), JPEG_SIGNATURE)
    is_png = tf.equal(tf.strings.substr(content, 0, len(PNG_SIGNATURE)), PNG_SIGNATURE)

    def size_error(shape: tf.Tensor, scans: Callable[[], tf.Tensor]) -> tf.Tensor:
        height, width = tf.unstack(tf.cast(shape[:2], tf.int64))
        # As floats: the product of two sides below 2^32 may overflow int64.
        pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
        sides = tf.strings.join([tf.as_string(width), " x ", tf.as_string(height), " pixels"])
        allowed = tf.clip_by_value(limits.max_scanned / (pixels + 1), 16, MAX_SCANS)
        return tf.case(
            [
                (
                    pixels > limits.max_pixels,
                    lambda: tf.strings.join(
                        [f"{TOO_MANY_PIXELS}: ", sides, f"; at most {limits.max_pixels}"]
                    ),
                ),
                (
                    tf.minimum(height, width) < limits.min_side,
                    lambda: tf.strings.join(
                        [f"{TOO_SMALL}: ", sides, f"; each side at least {limits.min_side}"]
                    ),
                ),
                (
                    tf.cast(scans(), tf.float64) > allowed,
                    lambda: _status(TOO_MANY_PIXELS, "too many progressive scans"),
                ),
            ],
            default=lambda: tf.constant(""),
        )

    def scans() -> tf.Tensor:
        return _count(content, JPEG_SCAN, MAX_SCANS + 1)

    return tf.case(
        [
            (tf.equal(length, 0), lambda: tf.constant(EMPTY)),
            (
                length > limits.max_bytes,
                lambda: tf.strings.join(
                    [TOO_MANY_BYTES, ": ", tf.as_string(length), f"; at most {limits.max_bytes}"]
                ),
            ),
            (is_jpeg, lambda: size_error(tf.io.extract_jpeg_shape(content), scans)),
            (is_png, lambda: size_error(_png_sides(content), lambda: tf.constant(1))),
        ],
        default=lambda: _with_detail(NOT_JPEG_OR_PNG, unsupported_format(content)),
    )


def _png_sides(content: tf.Tensor) -> tf.Tensor:
    """Reads height and width from a PNG header, int64 [2]; raises if the header is incomplete."""
    octets = tf.io.decode_raw(tf.strings.substr(content, 16, 8), tf.uint8)
    parts = tf.reshape(tf.cast(octets, tf.int64), [2, 4])
    width_height = tf.reduce_sum(parts * tf.constant([1 << 24, 1 << 16, 256, 1], tf.int64), 1)
    return width_height[::-1]


def _count(content: tf.Tensor, marker: bytes, most: int = 1) -> tf.Tensor:
    """Counts a marker, int32, up to `most`.

    The compressed pixels of a JPEG contain no marker: 0xFF is followed by 0 or a restart there.
    """
    pieces = tf.raw_ops.StringSplitV2(input=content[tf.newaxis], sep=marker, maxsplit=most)
    return tf.size(pieces.values) - 1


def _lacks_last_rows(stored: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    """Returns whether a JPEG was cut and closed again, as `validate_pillow` checks it."""
    height = tf.shape(stored)[0]
    rest = height % BLOCK
    rows = stored[height - tf.where(rest > 0, rest, BLOCK) :]
    flat = tf.reduce_all(tf.equal(rows, MISSING_GRAY))
    return tf.cond(
        tf.logical_and(flat, tf.io.is_jpeg(content)),
        lambda: tf.equal(_count(content, JPEG_PROGRESSIVE), 0),
        lambda: tf.constant(False),
    )


def _decode_errors(contents: tf.Tensor, dropped: tf.Tensor) -> tf.Tensor:
    """Returns the status of each undecodable file, string [n]; "" for the others."""

    def one(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return tf.cond(item[1], lambda: _decode_error(item[0]), lambda: tf.constant(""))

    return tf.map_fn(one, (contents, dropped), fn_output_signature=tf.string)


def _decode_error(content: tf.Tensor) -> tf.Tensor:
    start = tf.maximum(tf.strings.length(content) - TAIL, 0)
    tail = tf.strings.substr(content, start, TAIL)
    is_jpeg = tf.io.is_jpeg(content)
    end = tf.cond(is_jpeg, lambda: _count(tail, JPEG_END), lambda: _count(tail, PNG_END))
    kind = tf.cond(is_jpeg, lambda: unsupported_jpeg(content), lambda: tf.constant(""))
    error = tf.where(
        end > 0,
        f"{DAMAGED}: it cannot be decoded",
        f"{TRUNCATED}: the end of the file is missing",
    )
    return tf.where(tf.equal(kind, ""), error, _with_detail(UNSUPPORTED_JPEG, kind))


def _status(status: str, detail: str) -> tf.Tensor:
    return tf.constant(f"{status}: {detail}")


def _with_detail(status: str, detail: tf.Tensor) -> tf.Tensor:
    """Appends a detail to a status if it is not empty."""
    return tf.where(tf.equal(detail, ""), status, tf.strings.join([status, detail], ": "))
