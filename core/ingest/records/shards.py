"""Second pass: writes the records into shards."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from core.images.errors import ImageError
from core.ingest.catalog.database import Catalog
from core.ingest.file_record import FileRecord, encode_record, read_records
from core.ingest.records.chunks import read_unchanged
from core.ingest.records.work_folder import WorkFolder
from core.ingest.source.dicom import to_stored_image
from schema import features as f
from schema.example import encode
from schema.files import atomic_file
from schema.tfrecord import frame


def sort_key(record: FileRecord, seed: int) -> str:
    """Returns the key that orders records: it depends on seed and content only."""
    return hashlib.sha256(f"{seed}:{record.sha256}".encode()).hexdigest()[:16]


def write_shard_lists(catalog: Catalog, work: WorkFolder, size: int) -> Iterator[str]:
    """Writes the list of each shard, at most `size` records, and yields its name."""
    for split in f.SPLITS:
        shards = -(-catalog.files.count_usable(split) // size)
        records = catalog.files.usable(split)
        for shard in range(shards):
            name = f"{split}-{shard:05d}-of-{shards:05d}.tfrecord"
            with atomic_file(work.lists / f"{name}.jsonl") as stream:
                for index, record in enumerate(islice(records, size)):
                    boxes = catalog.boxes.of_file(record.path)
                    full = replace(record, boxes=boxes, shard=name, index=index)
                    stream.write(encode_record(full))
            yield name


def write_shard(work: WorkFolder, source: str, name: str) -> None:
    """Writes one TFRecord shard from its list.

    `rows/NAME.jsonl` gets its records, and the files that could not be written after all;
    `rows/NAME.sha256` the digest of the shard.
    """
    digest, written = hashlib.sha256(), 0
    with (
        atomic_file(work.out / name) as shard,
        atomic_file(work.rows / f"{name}.jsonl") as rows,
        work.ticks.open("ab", 0) as ticks,
    ):
        for record in read_records(work.lists / f"{name}.jsonl"):
            try:
                data = _read_again(source, record)
            except ImageError as error:
                row = replace(record, reason=error.reason, detail=error.detail)
            else:
                framed = frame(_encode_example(record, data))
                digest.update(framed)
                shard.write(framed)
                row = replace(record, index=written)
                written += 1
            rows.write(encode_record(row))
            ticks.write(b".")
        with atomic_file(work.rows / f"{name}.sha256") as stream:
            stream.write(digest.hexdigest().encode())


def _read_again(source: str, record: FileRecord) -> bytes:
    """Reads an image a second time: its shard is known only after every file was checked."""
    data = to_stored_image(read_unchanged(source, record)).data
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise ImageError("changed_during_run", "its bytes changed since they were checked")
    return data


def _encode_example(record: FileRecord, data: bytes) -> bytes:
    return encode(
        {
            f.IMAGE_ENCODED: data,
            f.IMAGE_FORMAT: record.format,
            f.IMAGE_HEIGHT: record.height,
            f.IMAGE_WIDTH: record.width,
            f.IMAGE_SHA256: record.sha256,
            f.IMAGE_FILENAME: record.filename,
            f.IMAGE_SOURCE: record.source,
            f.PATIENT_ID: record.patient_id,
            f.PATHOGEN: record.pathogen,
            **{name: [box[i] for box in record.boxes] for i, name in enumerate(f.BOX_EDGES)},
            **record.stats,
        }
    )
