"""Reads images and their fields from records."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from schema import features as f
from schema.example import decode
from schema.tfrecord import read_records

Fields = dict[str, list[bytes] | list[int] | list[float]]


def read_fields(files: Iterable[str | Path]) -> Iterator[Fields]:
    """Yields the fields of each record of TFRecord files; those named `.gz` are compressed."""
    for file in map(str, files):
        if not file.endswith(".gz"):
            yield from map(decode, read_records(Path(file)))
            continue
        import tensorflow as tf

        for record in tf.data.TFRecordDataset(file, compression_type="GZIP"):
            yield decode(record.numpy())


def read_images(files: Iterable[str | Path], wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yields id and content of chosen images; stops after the last of them."""
    left = set(wanted)
    for fields in read_fields(files) if left else ():
        name = text(fields, f.IMAGE_SHA256)
        if name in left:
            left.discard(name)
            yield name, content(fields)
            if not left:
                return


def text(fields: Fields, name: str) -> str:
    """Returns a text field."""
    (value,) = fields[name]
    assert isinstance(value, bytes)
    return value.decode(errors="replace")


def content(fields: Fields) -> bytes:
    """Returns the bytes of the image file."""
    (value,) = fields[f.IMAGE_ENCODED]
    assert isinstance(value, bytes)
    return value
