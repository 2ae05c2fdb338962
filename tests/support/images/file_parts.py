"""JPEG and PNG files with chosen segments, chunks and EXIF structures."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.support.images.synthetic import encode

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def jpeg_with(pixels: np.ndarray, *segments: bytes) -> bytes:
    """Inserts segments after the first two bytes."""
    content = encode(Image.fromarray(pixels), "JPEG", quality=95)
    return content[:2] + b"".join(segments) + content[2:]


def png_with(
    pixels: np.ndarray, before: bytes = b"", after: bytes = b"", pixels_per_chunk: int = 1 << 30
) -> bytes:
    """Writes a PNG file of uint8 or uint16 [height, width] or [height, width, channels].

    Args:
      pixels: of gray, gray and alpha, RGB or RGBA.
      before: chunks between the header and the pixels.
      after: chunks behind the pixels.
      pixels_per_chunk: bytes of an IDAT chunk.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    step = channels * depth // 8
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    lines = []
    for y, row in enumerate(rows):  # the filters None, Sub and Up in turn
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]])
        up = rows[y - 1] if y else np.zeros_like(row)
        filtered = (row, row - left, row - up)[y % 3]
        lines.append(bytes([y % 3]) + filtered.tobytes())
    data = zlib.compress(b"".join(lines))
    starts = range(0, len(data), pixels_per_chunk)
    idat = b"".join(chunk(b"IDAT", data[at : at + pixels_per_chunk]) for at in starts)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + before + idat + after + chunk(b"IEND", b"")


def tiff(
    orientation: int, order: str = "<", kind: int = 3, count: int = 1, offset: int = 8
) -> bytes:
    """Returns a TIFF structure with an orientation as second entry of its first directory.

    Args:
      orientation: value.
      order: "<" for II, ">" for MM.
      kind: TIFF type of the value.
      count: number of values.
      offset: of the directory.
    """
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", offset)
    form = {1: "B3x", 3: "H2x", 4: "I"}.get(kind, "I")
    value = struct.pack(f"{order}{form}", orientation)
    entries = struct.pack(f"{order}HHI4s", 0x0100, 3, 1, b"\1\0\0\0")
    entries += struct.pack(f"{order}HHI", 0x0112, kind, count) + value
    return head.ljust(offset, b"\0") + struct.pack(f"{order}H", 2) + entries + bytes(4)
