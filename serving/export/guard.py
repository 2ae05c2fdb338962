"""Decoding of clients' images inside the SavedModel: pixels and a status each, never an error.

A model server puts the images of several clients into one batch, and an op that raises fails the
whole batch. So whatever may raise runs inside a `tf.data` pipeline in the graph, whose
`ignore_errors` drops the images that no decoder reads; an image refused by its header, or dropped,
becomes a black one, and its status says why. Core ops only, which every server has.

Decoding is `core.images.decode`, the code that Transform's graph was traced from, called
directly: going through Transform's graph would decode twice (once to know whether it can be done)
and pack the pixels into a PNG in between. `fit_of` proves at export that both give the same pixels.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from core.images.decode import decode_gray, from_png, oriented, resize_gray, stored_gray
from schema import features as f

OK: Final = "OK"
EMPTY: Final = "EMPTY"
NOT_JPEG_OR_PNG: Final = "NOT_JPEG_OR_PNG"
TOO_MANY_BYTES: Final = "TOO_MANY_BYTES"
TOO_MANY_PIXELS: Final = "TOO_MANY_PIXELS"
TOO_SMALL: Final = "TOO_SMALL"
TRUNCATED: Final = "TRUNCATED"
DAMAGED: Final = "DAMAGED"
STATUSES: Final = (
    OK,
    EMPTY,
    NOT_JPEG_OR_PNG,
    TOO_MANY_BYTES,
    TOO_MANY_PIXELS,
    TOO_SMALL,
    TRUNCATED,
    DAMAGED,
)

_JPEG: Final = b"\xff\xd8\xff"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SCAN: Final = b"\xff\xda"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_PROGRESSIVE: Final = b"\xff\xc2"
_PNG_END: Final = b"IEND"
_TAIL: Final = 4096  # an end marker stands at most this far from the end
_MISSING: Final = 128  # what libjpeg paints where data are missing
_MOST_SCANS: Final = 1000
_AT_ONCE: Final = 2  # images decoded side by side; each takes up to 20 bytes a pixel meanwhile


@dataclass(frozen=True)
class Limits:
    """What an image may cost.

    Attributes:
      max_bytes: of a file.
      max_pixels: width times height, checked before decoding. Large detectors have 20 million;
        two images of 40 million at once take 1.6 GB.
      min_side: the shorter side of a radiograph has at least so many pixels (as in ingest).
      max_scanned: pixels times scans of a JPEG. Each scan of a progressive file costs a pass over
        the whole image, however short it is in the file; encoders write about ten.
    """

    max_bytes: int = 32 << 20
    max_pixels: int = 40_000_000
    min_side: int = 16
    max_scanned: int = 640_000_000

    def to_dict(self) -> dict[str, int]:
        """Plain values, for the facts that travel with the model."""
        return asdict(self)


class Images(NamedTuple):
    """What `read_images` gives of n files.

    Attributes:
      pixels: uint8 [n, size, size, 1], black where an image is refused.
      status: string [n], "OK", or another of `STATUSES`, maybe followed by ": " and a detail.
      sides: int64 [n, 2], height and width of the image as a viewer shows it (EXIF orientation
        applied), pixels; 0 where it is refused.
    """

    pixels: tf.Tensor
    status: tf.Tensor
    sides: tf.Tensor


def read_images(contents: tf.Tensor, size: int, fit: str, limits: Limits) -> Images:
    """Reads a batch; never raises for what the files hold.

    Args:
      contents: string [n], bytes of files.
      size: side of the images, pixels.
      fit: see `core.images.decode.resize_gray`.
      limits: what an image may cost.
    """
    count = tf.shape(contents)[0]
    # The empty file at the end is refused without decoding: so there is always something to
    # collect, and it is what the images that were dropped are replaced by.
    padded = tf.concat([contents, tf.constant([b""])], 0)
    images = tf.data.Dataset.from_tensor_slices((tf.range(count + 1), padded)).map(
        lambda index, content: (index, *_read(content, size, fit, limits)),
        num_parallel_calls=_AT_ONCE,
    )
    images = images.ignore_errors().batch(tf.cast(count, tf.int64) + 1).with_options(_plain())
    found, status, pixels, sides = images.get_single_element()
    last = tf.size(found) - 1
    places = tf.tensor_scatter_nd_update(
        tf.fill([count + 1], last), found[:, tf.newaxis], tf.range(last + 1)
    )[:count]
    dropped = tf.equal(places, last)
    status = tf.cond(
        tf.reduce_any(dropped),
        lambda: tf.where(dropped, _why(contents, dropped), tf.gather(status, places)),
        lambda: tf.gather(status, places),
    )
    pixels = tf.ensure_shape(tf.gather(pixels, places), [None, size, size, 1])
    return Images(pixels, status, tf.gather(sides, places))


def fit_of(transform: Callable[[dict[str, tf.Tensor]], Any], size: int) -> str:
    """How Transform's graph fits an image into a square, found by asking it.

    Args:
      transform: Transform's graph: `image/encoded` string [n, 1] -> `image_png` string [n].
      size: side of the images, pixels.

    Returns:
      "stretch" or "pad".

    Raises:
      ValueError: its pixels are those of neither; it was written by other code than this.
    """

    planes = np.random.default_rng(0).integers(0, 256, (2 * size + 3, size + 2, 3), np.uint8)
    probes = [
        tf.io.encode_png(planes).numpy(),
        tf.io.encode_jpeg(planes[:, :, :1]).numpy(),
        tf.io.encode_jpeg(planes[:size], quality=80).numpy(),
        tf.io.encode_png(planes[:size, :, :1].astype(np.uint16) * 251).numpy(),
    ]
    asked = transform({f.IMAGE_ENCODED: tf.constant(probes)[:, tf.newaxis]})
    expected = from_png(asked[f.IMAGE_PNG], size).numpy()
    for fit in ("stretch", "pad"):
        found = [resize_gray(decode_gray(tf.constant(p)), size, fit).numpy() for p in probes]
        if np.array_equal(np.stack(found), expected):
            return fit
    raise ValueError(
        "Transform's graph decodes images otherwise than this version of the code; run Transform "
        "anew (another --workdir), so that training and serving see the same pixels"
    )


def _plain() -> tf.data.Options:
    """No tuning and no rewriting: either costs more than decoding a few images."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.deterministic = True
    return options


def _read(
    content: tf.Tensor, size: int, fit: str, limits: Limits
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One file -> status, pixels [size, size, 1], sides [2]; raises where it cannot be decoded."""

    black, none = tf.zeros([size, size, 1], tf.uint8), tf.zeros([2], tf.int64)

    def seen(stored: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        shown = oriented(stored, content)
        sides = tf.cast(tf.shape(shown)[:2], tf.int64)
        return tf.constant(OK), resize_gray(shown, size, fit), sides

    def decode() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        stored = stored_gray(content)
        cut = _says(TRUNCATED, "its last rows are the flat gray of missing data")
        return tf.cond(_was_cut(stored, content), lambda: (cut, black, none), lambda: seen(stored))

    refusal = _refusal(content, limits)
    return tf.cond(tf.equal(refusal, ""), decode, lambda: (refusal, black, none))


def _refusal(content: tf.Tensor, limits: Limits) -> tf.Tensor:
    """Why a file is not to be decoded, from its header; "" where it may be."""
    length = tf.strings.length(content)
    is_jpeg = tf.equal(tf.strings.substr(content, 0, 3), _JPEG)
    is_png = tf.equal(tf.strings.substr(content, 0, 8), _PNG)

    def by_size(shape: tf.Tensor, scans: Callable[[], tf.Tensor]) -> tf.Tensor:
        height, width = tf.unstack(tf.cast(shape[:2], tf.int64))
        # Sides stay below 2^32: were they multiplied in whole numbers, the product could overflow.
        pixels = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
        told = tf.strings.join([tf.as_string(width), " x ", tf.as_string(height), " pixels"])
        allowed = tf.clip_by_value(limits.max_scanned / (pixels + 1), 16, _MOST_SCANS)
        return tf.case(
            [
                (
                    pixels > limits.max_pixels,
                    lambda: tf.strings.join(
                        [f"{TOO_MANY_PIXELS}: ", told, f"; at most {limits.max_pixels}"]
                    ),
                ),
                (
                    tf.minimum(height, width) < limits.min_side,
                    lambda: tf.strings.join(
                        [f"{TOO_SMALL}: ", told, f"; a side has at least {limits.min_side}"]
                    ),
                ),
                (
                    tf.cast(scans(), tf.float64) > allowed,
                    lambda: _says(TOO_MANY_PIXELS, "too many scans over the image"),
                ),
            ],
            default=lambda: tf.constant(""),
        )

    def scans() -> tf.Tensor:
        return _count(content, _JPEG_SCAN, _MOST_SCANS + 1)

    return tf.case(
        [
            (tf.equal(length, 0), lambda: tf.constant(EMPTY)),
            (
                length > limits.max_bytes,
                lambda: tf.strings.join(
                    [TOO_MANY_BYTES, ": ", tf.as_string(length), f"; at most {limits.max_bytes}"]
                ),
            ),
            (is_jpeg, lambda: by_size(tf.io.extract_jpeg_shape(content), scans)),
            (is_png, lambda: by_size(_png_sides(content), lambda: tf.constant(1))),
        ],
        default=lambda: tf.constant(NOT_JPEG_OR_PNG),
    )


def _png_sides(content: tf.Tensor) -> tf.Tensor:
    """Height and width in the header of a PNG, int64 [2]; raises where the file ends before."""
    octets = tf.io.decode_raw(tf.strings.substr(content, 16, 8), tf.uint8)
    parts = tf.reshape(tf.cast(octets, tf.int64), [2, 4])
    width_height = tf.reduce_sum(parts * tf.constant([1 << 24, 1 << 16, 256, 1], tf.int64), 1)
    return width_height[::-1]


def _count(content: tf.Tensor, marker: bytes, most: int = 1) -> tf.Tensor:
    """How often a marker occurs, int32, counted up to `most`.

    In the coded pixels of a JPEG no marker occurs: there 0xFF is followed by 0 or a restart.
    """
    pieces = tf.raw_ops.StringSplitV2(input=content[tf.newaxis], sep=marker, maxsplit=most)
    return tf.size(pieces.values) - 1


def _was_cut(stored: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    """Whether a JPEG was cut and closed again, as ingest tells it: its last blocks are missing."""
    height = tf.shape(stored)[0]
    rest = height % 8
    rows = stored[height - tf.where(rest > 0, rest, 8) :]
    flat = tf.reduce_all(tf.equal(rows, _MISSING))
    return tf.cond(
        tf.logical_and(flat, tf.io.is_jpeg(content)),
        lambda: tf.equal(_count(content, _JPEG_PROGRESSIVE), 0),
        lambda: tf.constant(False),
    )


def _why(contents: tf.Tensor, dropped: tf.Tensor) -> tf.Tensor:
    """What to say of files that could not be decoded; string [n], "" for the others."""

    def one(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return tf.cond(item[1], lambda: _broken(item[0]), lambda: tf.constant(""))

    return tf.map_fn(one, (contents, dropped), fn_output_signature=tf.string)


def _broken(content: tf.Tensor) -> tf.Tensor:
    start = tf.maximum(tf.strings.length(content) - _TAIL, 0)
    tail = tf.strings.substr(content, start, _TAIL)
    end = tf.cond(
        tf.io.is_jpeg(content),
        lambda: _count(tail, _JPEG_END),
        lambda: _count(tail, _PNG_END),
    )
    return tf.where(
        end > 0,
        _says(DAMAGED, "it cannot be decoded"),
        _says(TRUNCATED, "the end of the file is missing"),
    )


def _says(status: str, detail: str) -> tf.Tensor:
    return tf.constant(f"{status}: {detail}")
