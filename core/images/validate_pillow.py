"""Validates and decodes an image file with Pillow: the checks of ingest.

`validate_tf` has the checks of the SavedModel; both use the constants of `rules`.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.images.checks.content import content_problem
from core.images.checks.formats import unsupported_format
from core.images.decode_pillow import orient, to_gray
from core.images.errors import ImageError
from core.images.headers.orientation import exif_orientation
from core.images.rules import (
    BLOCK,
    INVERTED,
    JPEG_END,
    JPEG_SCAN,
    JPEG_SIGNATURE,
    MAX_ASPECT,
    MAX_SIDE,
    MISSING_GRAY,
    PNG_END,
    PNG_SIGNATURE,
    STATUS_MESSAGES,
    TAIL,
)
from schema.errors import one_line


def decode_valid(data: bytes, max_pixels: int, min_side: int) -> tuple[str, Image.Image]:
    """Validates an image file and decodes it.

    Args:
      data: content of the file.
      max_pixels: width times height at most; checked before decoding.
      min_side: shorter side at least, pixels.

    Returns:
      The format, "jpeg" or "png", and the displayed image in 8-bit gray.

    Raises:
      ImageError: the file cannot be used. No other exception is raised.
    """
    with only_image_errors():
        kind = _format(data)
        return kind, _decode(data, kind, max_pixels, min_side)


@contextmanager
def only_image_errors() -> Iterator[None]:
    """Converts every exception to an ImageError: one file must never stop the others."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(
            "too_large", "not enough memory to decode the image; lower max_pixels"
        ) from None
    except Exception as error:
        raise ImageError("corrupt", _describe(error)) from None


def _format(data: bytes) -> str:
    if not data:
        raise ImageError("empty", "0 bytes")
    if named := unsupported_format(data):
        raise ImageError("unsupported_format", named)
    if data.startswith(JPEG_SIGNATURE):
        return "jpeg"
    if data.startswith(PNG_SIGNATURE):
        return "png"
    if PNG_SIGNATURE.startswith(data) or JPEG_SIGNATURE.startswith(data):
        raise ImageError("truncated", f"only {len(data)} bytes of the file signature")
    if data[:512].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise ImageError("not_an_image", "a web page; check whether the download was denied")
    # The first bytes are not quoted: they may contain a patient name.
    raise ImageError(
        "not_an_image", "unknown image format: the file signature is not JPEG, PNG or DICOM"
    )


def _decode(data: bytes, kind: str, max_pixels: int, min_side: int) -> Image.Image:
    try:
        image = Image.open(
            io.BytesIO(data), formats=("JPEG", "MPO") if kind == "jpeg" else ("PNG",)
        )
    except Image.DecompressionBombError:
        raise ImageError("too_large", f"more than {max_pixels} pixels") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        _raise_undecodable(data, kind, error)
    _check_size(*image.size, max_pixels, min_side)
    if kind == "png":
        _check_png_chunks(data)
    elif data.rfind(JPEG_END) < data.rfind(JPEG_SCAN):
        # Pillow may ignore a missing end marker, TensorFlow does not.
        raise ImageError("truncated", "the end of the JPEG is missing")
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        _raise_undecodable(data, kind, error)
    gray = to_gray(image, data)
    if kind == "jpeg" and not image.info.get("progressive"):
        _check_last_rows(gray)
    displayed = orient(gray, exif_orientation(data))
    _check_content(displayed, image)
    return displayed


def _check_size(width: int, height: int, max_pixels: int, min_side: int) -> None:
    size = f"{width}x{height} pixels"
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        limit = f"at most {max_pixels} (max_pixels), side at most {MAX_SIDE}"
        raise ImageError("too_large", f"{size}; {limit}")
    if min(width, height) < min_side:
        raise ImageError("too_small", f"{size}; each side must have at least {min_side}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError("too_narrow", f"{size}; the aspect ratio is at most {MAX_ASPECT:g} to 1")


def _raise_undecodable(data: bytes, kind: str, error: Exception) -> NoReturn:
    end = JPEG_END if kind == "jpeg" else PNG_END
    truncated = "truncated" in str(error) or end not in data[-TAIL:]
    raise ImageError("truncated" if truncated else "corrupt", _describe(error)) from None


def _check_png_chunks(data: bytes) -> None:
    """Checks checksums and the end chunk, both of which Pillow ignores for pixel data."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        critical = not name[0] & 0x20
        stored = int.from_bytes(data[end : end + 4], "big")
        if critical and zlib.crc32(memoryview(data)[at + 4 : end]) != stored:
            raise ImageError("corrupt", f"wrong checksum in chunk {name!r}")
        if name == PNG_END:
            return
        at = end + 4
    raise ImageError("truncated", "the end of the PNG is missing")


def _check_last_rows(stored: Image.Image) -> None:
    """Rejects a JPEG that was cut and closed again."""
    width, height = stored.size
    rows = height % BLOCK or BLOCK
    last = stored.crop((0, height - rows, width, height)).getextrema()
    if last == (MISSING_GRAY, MISSING_GRAY):
        raise ImageError("truncated", "the last rows are missing from the JPEG data")


def _check_content(displayed: Image.Image, stored: Image.Image) -> None:
    """Rejects an image that is no radiograph; an inverted one is accepted."""
    has_colors = stored.mode not in ("1", "L", "LA") and not stored.mode.startswith("I")
    rgb = np.asarray(stored.convert("RGB")) if has_colors else None
    problem = content_problem(np.asarray(displayed), rgb)
    if problem and problem != INVERTED:
        raise ImageError(problem.lower(), STATUS_MESSAGES[problem])


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"[:200]
