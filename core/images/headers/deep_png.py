"""Reads all 16 bits of a PNG file; Pillow keeps 8 of them in all but gray files."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.images.headers.depth import CHANNELS
from core.images.rules import PNG_SIGNATURE

# Passes of interlacing: first column, first row, step of the columns, step of the rows.
_ADAM7: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_STORED: Final = {0: 1, 2: 3, 4: 2, 6: 4}  # color type -> channels with alpha


def is_deep_png(content: bytes) -> bool:
    """Returns whether a file is a PNG file with 16 bits per sample."""
    return content.startswith(PNG_SIGNATURE) and content[24:25] == b"\x10"


def deep_samples(content: bytes) -> NDArray[np.uint16]:
    """Returns the samples of a 16-bit PNG file without alpha: [height, width, 1 or 3].

    The filters of PNG compute with bytes that are a whole pixel apart. The high bytes of all
    samples and their low bytes are therefore two valid 8-bit files, which Pillow decodes.

    Raises:
      ValueError, OSError, zlib.error: a damaged file.
    """
    header = content[16:29]
    width, height, _, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    passes = list(_passes(width, height, bool(interlaced)))
    row = 2 * _STORED[kind]
    size = sum(rows * (1 + columns * row) for rows, columns in passes)
    raw = zlib.decompressobj().decompress(b"".join(_pixel_chunks(content)), size)
    halves: tuple[list[bytes], list[bytes]] = ([], [])
    at = 0
    for rows, columns in passes:
        length = rows * (1 + columns * row)
        lines = np.frombuffer(raw, np.uint8, length, at).reshape(rows, -1)
        samples = lines[:, 1:].reshape(rows, -1, 2)
        for half, part in enumerate(halves):
            part.append(np.hstack([lines[:, :1], samples[:, :, half]]).tobytes())
        at += length
    high, low = (_decode(header, b"".join(part)) for part in halves)
    wide = np.left_shift(high, 8, dtype=np.uint16) | low
    return wide.reshape(height, width, -1)[..., : CHANNELS[kind]]


def _passes(width: int, height: int, interlaced: bool) -> Iterator[tuple[int, int]]:
    """Yields rows and columns of each pass that has pixels."""
    for left, top, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        rows, columns = -(-(height - top) // down), -(-(width - left) // across)
        if rows > 0 and columns > 0:
            yield rows, columns


def _pixel_chunks(content: bytes) -> Iterator[bytes]:
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"IDAT":
            yield content[at + 8 : end]
        at = end + 4


def _decode(header: bytes, lines: bytes) -> NDArray[np.uint8]:
    """Decodes filtered lines of 8-bit samples; the header is that of the 16-bit file."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    head = chunk(b"IHDR", header[:8] + b"\x08" + header[9:])
    pixels = chunk(b"IDAT", zlib.compress(lines, 0))
    file = PNG_SIGNATURE + head + pixels + chunk(b"IEND", b"")
    with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
        return np.asarray(image)
