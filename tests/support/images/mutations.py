"""Damaged copies of image files."""

import random
import struct
import zlib
from collections.abc import Callable

from tests.support.images.synthetic import FORMS

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
WRONG_SIDES = (0, 1, 15, 61, 64, 900, 2500, 30_000, 65_535)


def originals() -> list[bytes]:
    """Every form of a file that has at least 16 pixels on a side."""
    return [make() for name, make in FORMS.items() if name not in ("jpeg_odd", "png_1x1")]


def mutate(content: bytes, rng: random.Random) -> bytes:
    """One file, damaged in one to three ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(_WAYS)(content, rng)
    return content


def chunks(content: bytes) -> list[tuple[int, int]]:
    """(begin, end) of each whole chunk of a PNG, or of each segment of a JPEG before its pixels."""
    found, at = [], 8 if content.startswith(PNG) else 2
    while at + 4 <= len(content):
        if content.startswith(PNG):
            end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        else:
            end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if end > len(content) or (not content.startswith(PNG) and content[at] != 0xFF):
            break
        found.append((at, end))
        at = end
    return found


def with_png_sides(content: bytes, width: int, height: int) -> bytes:
    """Returns a PNG with another size in its header and a correct checksum."""
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def with_jpeg_sides(content: bytes, width: int, height: int) -> bytes:
    """Returns a JPEG with another size in its frame header."""
    for at, _ in chunks(content):
        if content[at + 1] in (0xC0, 0xC1, 0xC2):
            return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32))):
        if changed:
            # Headers are where damage does most.
            last = min(len(changed), 600) if rng.random() < 0.5 else len(changed)
            changed[rng.randrange(last)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    nothing = rng.random() < 0.05
    return b"" if nothing else content[: rng.randrange(len(content) + 1)]


def _cut_and_close(content: bytes, rng: random.Random) -> bytes:
    end = b"\0\0\0\0IEND\xaeB`\x82" if content.startswith(PNG) else b"\xff\xd9"
    return _cut(content, rng) + end


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 3, 100, 5000))) + content[at:]


def _append(content: bytes, rng: random.Random) -> bytes:
    return content + rng.choice((rng.randbytes(700), b"\0" * 9000, content, b"<html>", b"PK\3\4"))


def _change_sides(content: bytes, rng: random.Random) -> bytes:
    width, height = rng.choice(WRONG_SIDES), rng.choice(WRONG_SIDES)
    if content.startswith(PNG) and len(content) > 33:
        return with_png_sides(content, width * rng.choice((1, 1, 60000)), height)
    return with_jpeg_sides(content, width, height) if content.startswith(JPEG) else content


def _chunk(content: bytes, rng: random.Random) -> bytes:
    """Removes, repeats or swaps a chunk or segment, or changes its length."""
    found = chunks(content)
    if not found:
        return content
    begin, end = rng.choice(found)
    way = rng.randrange(4)
    if way == 0:
        return content[:begin] + content[end:]
    if way == 1:
        return content[:end] + content[begin:end] * rng.choice((1, 50)) + content[end:]
    if way == 2:
        first, last = rng.choice(found)
        if last <= begin:
            return (
                content[:first]
                + content[begin:end]
                + content[last:begin]
                + content[first:last]
                + content[end:]
            )
        return content
    at = begin if content.startswith(PNG) else begin + 2
    return content[:at] + rng.randbytes(2) + content[at + 2 :]


def _other_bytes(content: bytes, rng: random.Random) -> bytes:
    magic = rng.choice((JPEG, PNG, b"", b"GIF89a", b"BM", b"II*\0", b"\0", content[:30]))
    return magic + rng.randbytes(rng.randrange(200))


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _cut,
    _cut_and_close,
    _insert,
    _append,
    _change_sides,
    _chunk,
    _other_bytes,
)
