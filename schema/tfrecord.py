"""Reads and writes TFRecord files without TensorFlow.

Framing of one record (tensorflow.org, "TFRecord and tf.train.Example"): uint64 length, masked
crc32c of the length, the bytes, masked crc32c of the bytes; all little endian.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from schema.errors import PneumoError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


def frame(record: bytes) -> bytes:
    """Returns the bytes of one record in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _crc(length) + record + _crc(record)


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file, one at a time.

    Raises:
      PneumoError: the file is truncated, or a checksum is wrong; with the offset of the record.
    """
    size = path.stat().st_size
    start = 0
    with path.open("rb") as stream:
        while header := stream.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise _damaged(path, start, "truncated in the header")
            length, crc = _HEADER.unpack(header)
            if crc != _masked(header[:8]):
                raise _damaged(path, start, "wrong checksum of the length")
            end = start + _HEADER.size + length + _FOOTER.size
            if end > size:
                raise _damaged(path, start, f"truncated, {end - size} bytes are missing")
            record = stream.read(length)
            footer = stream.read(_FOOTER.size)
            if len(footer) < _FOOTER.size or _FOOTER.unpack(footer)[0] != _masked(record):
                raise _damaged(path, start, "wrong checksum of the content")
            yield record
            start = end


def _damaged(path: Path, start: int, why: str) -> PneumoError:
    return PneumoError(
        f"shard {path} is damaged: record at byte {start}: {why}; copy the file again, or ingest "
        "the images again with --overwrite"
    )


def _crc(data: bytes) -> bytes:
    return _FOOTER.pack(_masked(data))


def _masked(data: bytes) -> int:
    import google_crc32c

    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
