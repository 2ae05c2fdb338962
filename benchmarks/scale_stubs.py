"""Stub images, records and catalogs at any number, a few microseconds each.

A stub is a valid gray PNG of 16 x 16 (or more) random pixels, stored without compression: all stubs
of a size have the same length, so a record is a template with a few bytes put in.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from components.ingest.scan import Entry
from schema import features as f
from schema.example import encode
from schema.tfrecord import frame

SIDE: Final = 16
PARTS: Final = (("train", 0.70), ("val", 0.15), ("test", 0.15))
SHARD: Final = 512
_PATIENT: Final = "person-0000000000"
_NAME: Final = "PNEUMONIA/person0000000000_bacteria_1.png"


def png(pixels: bytes, side: int = SIDE) -> bytes:
    """A gray PNG of side x side bytes, not compressed."""
    rows = b"".join(b"\0" + pixels[at : at + side] for at in range(0, side * side, side))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows, 0))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pictures(n: int, seed: int, side: int = SIDE) -> Iterator[bytes]:
    """Yields `n` different PNGs."""
    rng = np.random.default_rng(seed)
    block = 4096
    for start in range(0, n, block):
        rows = rng.integers(0, 256, (min(block, n - start), side * side), np.uint8)
        for row in rows:
            yield png(row.tobytes(), side)


def write_records(dest: Path, n: int, side: int = SIDE) -> None:
    """Writes what ingest would have written: shards, `dataset.json`, `manifest.jsonl`."""
    dest.mkdir(parents=True)
    images = pictures(n, 0, side)
    number = 0
    for split, part in PARTS:
        of_split = round(n * part)
        shards = -(-of_split // SHARD)
        for shard in range(shards):
            with (dest / f"{split}-{shard:05d}-of-{shards:05d}.tfrecord").open("wb") as out:
                for _ in range(min(SHARD, of_split - shard * SHARD)):
                    out.write(frame(_record(next(images), number, side)))
                    number += 1
    finish(dest, number)


def finish(dest: Path, n: int) -> None:
    """Writes the small files that a run asks for."""
    facts = {"content_sha256": f"stubs {n}", "synthetic": True, "version": 1, "written": n}
    (dest / "dataset.json").write_text(json.dumps(facts))
    (dest / "manifest.jsonl").write_text("")


@cache
def _template(length: int, side: int, normal: bool) -> tuple[bytes, tuple[int, ...]]:
    """A record with marks in the places that differ, and where they are."""
    image = b"\1" * length
    record = encode(
        values(image, "0" * 64, "normal" if normal else "bacteria", _NAME, _PATIENT, side)
    )
    marks = (image, b"0" * 64, _NAME.encode(), _PATIENT.encode())
    return record, tuple(record.index(mark) for mark in marks)


def _record(image: bytes, number: int, side: int) -> bytes:
    template, (at_image, at_sha, at_name, at_patient) = _template(len(image), side, number % 2 == 0)
    record = bytearray(template)
    record[at_image : at_image + len(image)] = image
    record[at_sha : at_sha + 64] = hashlib.sha256(image).hexdigest().encode()
    digits = f"{number:010d}".encode()
    record[at_name + 16 : at_name + 26] = digits
    record[at_patient + 7 : at_patient + 17] = digits
    return bytes(record)


def values(
    image: bytes, sha: str, pathogen: str, name: str, patient: str, height: int, width: int = 0
) -> dict[str, Any]:
    """Features of one record."""
    return {
        f.IMAGE_ENCODED: image,
        f.IMAGE_FORMAT: "png" if image[:1] in (b"\x89", b"\1") else "jpeg",
        f.IMAGE_HEIGHT: height,
        f.IMAGE_WIDTH: width or height,
        f.IMAGE_SHA256: sha,
        f.IMAGE_FILENAME: name,
        f.IMAGE_SOURCE: "person",
        f.PATIENT_ID: patient,
        f.PATHOGEN: pathogen,
        **dict.fromkeys((f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX), ()),
        **_STATS,
    }


_STATS: Final = {
    f.STATS_MEAN: 127.5, f.STATS_STD: 73.9, f.STATS_P01: 2.0, f.STATS_P99: 253.0,
    f.STATS_ENTROPY: 7.2, f.STATS_ASPECT: 1.0,
}  # fmt: skip


def write_files(dest: Path, n: int, side: int = SIDE) -> None:
    """Writes `n` stubs as files in two class folders, two images of a patient in ten."""
    folders = [dest / "NORMAL", dest / "PNEUMONIA"]
    for folder in folders:
        folder.mkdir(parents=True)
    for number, image in enumerate(pictures(n, 0, side)):
        (folders[number % 2] / path_of(number).rpartition("/")[2]).write_bytes(image)


def path_of(number: int) -> str:
    """Name of stub `number` below its source."""
    if number % 2 == 0:
        return f"NORMAL/IM-{number:010d}-0001.png"
    return f"PNEUMONIA/person{number - number % 10:010d}_bacteria_{number}.png"


def entries(n: int) -> Iterator[Entry]:
    """What a scan of `n` stubs yields."""
    for number in range(n):
        yield Entry(path_of(number), "file", size=345, mtime_ns=1_700_000_000_000_000_000 + number)


def checked(path: str, phash: bytes) -> dict[str, Any]:
    """What a check of one stub finds, without looking at it."""
    digest = hashlib.sha256(path.encode()).hexdigest()
    return {
        "path": path, "sha256": digest, "pixel_hash": digest[:32], "perceptual_hash": phash.hex(),
        "format": "png", "height": SIDE, "width": SIDE, "bytes": 345, "stats": _STATS,
    }  # fmt: skip


def hashes(n: int, bits: np.ndarray, seed: int = 0) -> np.ndarray:
    """Perceptual hashes whose bits are 1 with the given chances, uint8 [n, 32].

    Args:
      n: how many.
      bits: chance of each bit, float [256]; 0.5 everywhere: images that have nothing in common.
      seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    out = np.empty((n, 32), np.uint8)
    for start in range(0, n, 4096):
        rows = rng.random((min(4096, n - start), 256), np.float32) < bits
        out[start : start + len(rows)] = np.packbits(rows, axis=1)
    return out
