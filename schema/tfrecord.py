"""Reads and writes TFRecord files without TensorFlow.

Framing of one record (tensorflow.org, "TFRecord and tf.train.Example"): uint64 length, masked
crc32c of the length, the bytes, masked crc32c of the bytes; all little endian.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

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
      ValueError: the file is truncated, or a checksum is wrong.
    """
    remaining = path.stat().st_size
    with path.open("rb") as stream:
        while header := stream.read(_HEADER.size):
            remaining -= len(header)
            if len(header) < _HEADER.size:
                raise ValueError(f"{path}: truncated in the header of a record")
            length, crc = _HEADER.unpack(header)
            if crc != _masked(header[:8]):
                raise ValueError(f"{path}: wrong checksum of a record length")
            if length + _FOOTER.size > remaining:
                raise ValueError(f"{path}: truncated in a record of {length} bytes")
            record = stream.read(length)
            footer = stream.read(_FOOTER.size)
            remaining -= len(record) + len(footer)
            if len(footer) < _FOOTER.size or _FOOTER.unpack(footer)[0] != _masked(record):
                raise ValueError(f"{path}: wrong checksum of a record")
            yield record


def _crc(data: bytes) -> bytes:
    return _FOOTER.pack(_masked(data))


def _masked(data: bytes) -> int:
    import google_crc32c

    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
