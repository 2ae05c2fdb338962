"""Writing the records: lists of shards, and the work of writing one."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.images.dicom.refusal import Refusal
from core.ingest.catalog import Catalog
from core.ingest.records.work import WorkFolder, json_line, read_lines, read_unchanged
from core.ingest.source.boxes import boxes_of
from core.ingest.source.dicom import image_again
from schema import features as f
from schema.example import encode
from schema.files import atomic
from schema.tfrecord import frame

_BOX = (f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX)


def shard_lists(catalog: Catalog, work: WorkFolder, size: int) -> Iterator[str]:
    """Writes the list of each shard, at most `size` records, and yields its name."""
    for split in f.SPLITS:
        shards = -(-catalog.count(f"state = 'ok' AND split = '{split}'") // size)
        rows = catalog.db.execute(
            "SELECT id, facts, path, mtime, size, shown AS filename, sha256, pixels AS pixel_hash,"
            " LOWER(HEX(phash)) AS perceptual_hash, pathogen, patient AS patient_id, source"
            " FROM files WHERE state = 'ok' AND split = ? ORDER BY rank, shown",
            (split,),
        )
        names = [column[0] for column in rows.description][2:]
        for shard in range(shards):
            name = f"{split}-{shard:05d}-of-{shards:05d}.tfrecord"
            with atomic(work.lists / f"{name}.jsonl") as stream:
                for file_id, facts, *values in rows.fetchmany(size):
                    row = dict(zip(names, values, strict=True))
                    row |= {"path": os.fsdecode(row["path"]), "boxes": boxes_of(catalog, file_id)}
                    stream.write(json_line(row | json.loads(facts)))
            yield name


def write_shard(work: WorkFolder, source: Path, name: str) -> None:
    """Writes one TFRecord shard from its list, and `rows/NAME.jsonl`, its contents.

    The latter has a row per record, or per file that could not be written after all ({"path",
    "reason", "detail"}), and last {"shard", "sha256"}.
    """
    split = name.split("-", 1)[0]
    digest, index = hashlib.sha256(), 0
    with (
        atomic(work.out / name) as shard,
        atomic(work.rows / f"{name}.jsonl") as rows,
        work.ticks.open("ab", 0) as ticks,
    ):
        for file in read_lines(work.lists / f"{name}.jsonl"):
            try:
                data = _read_same(f"{source}/{file['path']}", file)
            except Refusal as refusal:
                row = {"path": file["path"], "reason": refusal.reason, "detail": refusal.detail}
            else:
                record = frame(_record(file, data))
                digest.update(record)
                shard.write(record)
                kept = {k: v for k, v in file.items() if k not in ("path", "mtime", "size")}
                row = {**kept, "boxes": len(file["boxes"])}
                row |= {"split": split, "shard": name, "index": index}
                index += 1
            rows.write(json_line(row))
            ticks.write(b".")
        rows.write(json_line({"shard": name, "sha256": digest.hexdigest()}))


def _read_same(path: str, file: dict[str, Any]) -> bytes:
    data = image_again(read_unchanged(path, file["size"], file["mtime"]))
    if hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise Refusal("changed_during_run", "its bytes changed since they were checked")
    return data


def _record(file: dict[str, Any], data: bytes) -> bytes:
    return encode(
        {
            f.IMAGE_ENCODED: data,
            f.IMAGE_FORMAT: file["format"],
            f.IMAGE_HEIGHT: file["height"],
            f.IMAGE_WIDTH: file["width"],
            f.IMAGE_SHA256: file["sha256"],
            f.IMAGE_FILENAME: file["filename"],
            f.IMAGE_SOURCE: file["source"],
            f.PATIENT_ID: file["patient_id"],
            f.PATHOGEN: file["pathogen"],
            **{name: [box[i] for box in file["boxes"]] for i, name in enumerate(_BOX)},
            **file["stats"],
        }
    )
