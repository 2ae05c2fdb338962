"""Looks at the bytes of one file: a usable image with its measures, or the reason why not.

Gray values are meant as the Transform graph decodes them: luma of ITU-R BT.601, EXIF orientation
applied, 16 bits scaled by 1/257, alpha dropped, the first frame of an animation.
"""

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.images.dicom.refusal import Refusal
from core.images.perceptual_hash import perceptual_hash
from schema import features as f
from schema.errors import one_line

MAX_SIDE: Final = 65_535  # of a JPEG, and of the schema
MAX_ASPECT: Final = 50.0
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_SCAN: Final = b"\xff\xda"
_JPEG_END: Final = b"\xff\xd9"
_OTHER_FORMATS: Final = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
)
_MISSING: Final = 128  # what libjpeg paints where data are missing


_TURN: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Checked:
    """What is known of a usable image.

    Attributes:
      sha256: hex digest of the bytes.
      pixel_hash: hex digest of the displayed 8-bit gray pixels and their size, 32 digits.
      perceptual_hash: hex of phash.perceptual_hash.
      format: jpeg or png.
      height: pixels, as displayed.
      width: pixels, as displayed.
      bytes: size of the file.
      stats: name of the feature -> value; see schema/features.py.
    """

    sha256: str
    pixel_hash: str
    perceptual_hash: str
    format: str
    height: int
    width: int
    bytes: int
    stats: dict[str, float]


def check_image(data: bytes, max_pixels: int, min_side: int) -> Checked:
    """Checks and measures the bytes of one file.

    Raises:
      Refusal: the file can't be used, for whatever reason: no other error leaves this function.
    """
    try:
        kind = _kind(data)
        return _measure(data, kind, _decode(data, kind, max_pixels, min_side))
    except Refusal:
        raise
    except MemoryError:
        raise Refusal("too_large", "no memory to decode it; lower max_pixels") from None
    except Exception as error:  # one file must never stop the others
        raise Refusal("corrupt", _named(error)) from None


def _kind(data: bytes) -> str:
    if not data:
        raise Refusal("empty", "0 bytes")
    if data.startswith(_JPEG):
        return "jpeg"
    if data.startswith(_PNG):
        return "png"
    other = next((name for magic, name in _OTHER_FORMATS if data.startswith(magic)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        other = "WebP"
    if other:
        raise Refusal("unsupported_format", f"{other}; convert it to PNG or JPEG")
    if _PNG.startswith(data) or _JPEG.startswith(data):
        raise Refusal("truncated", f"only {len(data)} bytes of a header")
    if data[:512].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise Refusal("not_an_image", "a web page; was the download refused?")
    # Its first bytes are not told: a text may begin with a name.
    raise Refusal("not_an_image", "it begins like no image")


def _decode(data: bytes, kind: str, max_pixels: int, min_side: int) -> Image.Image:
    """Displayed 8-bit gray pixels, after every check."""
    try:
        image = Image.open(
            io.BytesIO(data), formats=("JPEG", "MPO") if kind == "jpeg" else ("PNG",)
        )
    except Image.DecompressionBombError:
        raise Refusal("too_large", f"more than {max_pixels} pixels") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        _broken(data, kind, error)
    width, height = image.size
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise Refusal(
            "too_large",
            f"{width}x{height} pixels; at most {max_pixels} (max_pixels), side {MAX_SIDE}",
        )
    if min(width, height) < min_side:
        raise Refusal("too_small", f"{width}x{height} pixels; a side has at least {min_side}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Refusal("too_narrow", f"{width}x{height} pixels; at most {MAX_ASPECT:g} to 1")
    if kind == "png":
        _check_png_chunks(data)
    elif data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        # Pillow may pass over a missing end marker, TensorFlow does not.
        raise Refusal("truncated", "the end of the JPEG is missing")
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        _broken(data, kind, error)
    gray = _gray(image)
    if kind == "jpeg" and not image.info.get("progressive"):
        _check_last_rows(gray)
    turn = _TURN.get(_orientation(image))
    return gray.transpose(turn) if turn is not None else gray


def _broken(data: bytes, kind: str, error: Exception) -> NoReturn:
    end = _JPEG_END if kind == "jpeg" else b"IEND"
    cut = "truncated" in str(error) or end not in data[-4096:]
    raise Refusal("truncated" if cut else "corrupt", _named(error)) from None


def _check_png_chunks(data: bytes) -> None:
    """Walks the chunks: Pillow passes over a missing end and over checksums of pixel data."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        critical = not name[0] & 0x20
        stored = int.from_bytes(data[end : end + 4], "big")
        if critical and zlib.crc32(memoryview(data)[at + 4 : end]) != stored:
            raise Refusal("corrupt", f"wrong checksum in chunk {name!r}")
        if name == b"IEND":
            return
        at = end + 4
    raise Refusal("truncated", "the end of the PNG is missing")


def _check_last_rows(gray: Image.Image) -> None:
    """Finds a JPEG that was cut and closed again: decoders paint what is missing flat gray."""
    width, height = gray.size
    rows = height % 8 or 8
    if gray.crop((0, height - rows, width, height)).getextrema() == (_MISSING, _MISSING):
        raise Refusal("truncated", "its last rows are the flat gray of missing data")


def _gray(image: Image.Image) -> Image.Image:
    if image.mode == "L":
        return image
    if image.mode.startswith("I"):  # 16 bits
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray(((wide * 255 + 32767) // 65535).clip(0, 255).astype(np.uint8))
    if image.mode in ("1", "LA"):
        return image.convert("L")
    return image.convert("RGB").convert("L")  # by RGB: drops alpha instead of blending it


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1 where there is none or it can't be read."""
    raw = image.info.get("exif")
    if not raw:
        return 1
    try:
        exif = Image.Exif()
        exif.load(raw)
        return int(exif.get(0x0112, 1))
    except Exception:  # damaged tags are no reason to refuse the pixels
        return 1


def _measure(data: bytes, kind: str, gray: Image.Image) -> Checked:
    width, height = gray.size
    pixels = hashlib.sha256(f"{width}x{height}:".encode())
    pixels.update(gray.tobytes())
    return Checked(
        sha256=hashlib.sha256(data).hexdigest(),
        pixel_hash=pixels.hexdigest()[:32],
        perceptual_hash=perceptual_hash(gray).hex(),
        format=kind,
        height=height,
        width=width,
        bytes=len(data),
        stats=statistics(np.array(gray.histogram(), np.float64), width / height),
    )


def statistics(histogram: np.ndarray, aspect: float) -> dict[str, float]:
    """Small numbers of an 8-bit gray image.

    Args:
      histogram: number of pixels per gray value, [256], not all zero.
      aspect: width / height.

    Returns:
      Feature name -> value. The p-th percentile is the smallest value with at least p % of the
      pixels at or below it; entropy is Shannon's, in bits.
    """
    values = np.arange(256)
    share = histogram / histogram.sum()
    mean = float(share @ values)
    below = np.cumsum(histogram)
    present = share[share > 0]
    return {
        f.STATS_MEAN: round(mean, 4),
        f.STATS_STD: round(float(np.sqrt(max(share @ (values - mean) ** 2, 0.0))), 4),
        f.STATS_P01: float(np.searchsorted(below, 0.01 * below[-1])),
        f.STATS_P99: float(np.searchsorted(below, 0.99 * below[-1])),
        f.STATS_ENTROPY: round(max(float(-(present @ np.log2(present))), 0.0), 4),
        f.STATS_ASPECT: round(aspect, 6),
    }


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"[:200]
