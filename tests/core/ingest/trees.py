"""Writes small source trees, runs ingest, and reads data sets."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.ingest import job
from core.ingest.file_record import FileRecord
from core.ingest.job import IngestSummary, ingest
from core.ingest.options import IngestOptions
from schema import features as f
from schema.example import decode
from schema.files import read_lines
from schema.tfrecord import read_records
from tests.support.images.synthetic import encode, gray

LOCAL = ("--direct_running_mode=in_memory",)  # the fastest for a handful of images


def jpeg(seed: int, side: int = 64) -> bytes:
    """Returns a different image for each seed."""
    return encode(Image.fromarray(gray(side, side, seed)), "JPEG", quality=92)


def write(root: Path, paths: Iterable[str], first_seed: int = 0) -> Path:
    """Writes a different image under each path."""
    for seed, path in enumerate(paths, first_seed):
        put(root / path, jpeg(seed))
    return root


def put(path: Path, data: bytes) -> None:
    """Writes a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def official(root: Path, patients: int = 12) -> Path:
    """Writes train, val and test folders with 58 images, most patients with two."""
    paths = []
    for n in range(1, patients + 1):  # a patient 0 would be a placeholder
        paths += [f"train/PNEUMONIA/person{n}_bacteria_{2 * n + i}.jpeg" for i in (0, 1)]
        paths += [f"train/NORMAL/IM-{n:04d}-000{i}.jpeg" for i in (1, 2)]
    paths += [f"test/NORMAL/IM-{900 + n}-0001.jpeg" for n in range(4)]
    paths += [f"test/PNEUMONIA/person{900 + n}_virus_{n}.jpeg" for n in range(4)]
    paths += ["val/NORMAL/NORMAL2-IM-0003-0001.jpeg", "val/PNEUMONIA/person5_bacteria_99.jpeg"]
    return write(root, paths)


def files_below(folder: Path) -> dict[str, bytes]:
    """Returns path -> bytes of every file below a folder."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(
    source: Path,
    dest: Path,
    *,
    args: Sequence[str] = LOCAL,
    overwrite: bool = False,
    **options: Any,
) -> IngestSummary:
    """Ingests in this process."""
    return ingest(source, dest, IngestOptions(**options), beam_args=args, overwrite=overwrite)


def rows(dest: Path) -> list[dict[str, Any]]:
    """Returns the manifest of a data set."""
    return list(read_lines(dest / "manifest.jsonl"))


def split_of(dest: Path) -> dict[str, str]:
    """Returns file name -> split."""
    return {row["filename"]: row["split"] for row in rows(dest)}


def records(dest: Path) -> Iterator[dict[str, Any]]:
    """Yields the decoded records of a data set, shard by shard."""
    for shard in sorted(dest.glob("*.tfrecord")):
        yield from map(decode, read_records(shard))


BOX = (f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX)


def boxes(dest: Path) -> dict[str, list[tuple[float, ...]]]:
    """Returns file name -> (ymin, xmin, ymax, xmax) of its boxes, from the records."""
    return {
        record[f.IMAGE_FILENAME][0].decode(): list(zip(*(record[key] for key in BOX), strict=True))
        for record in records(dest)
    }


def change_before_write(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> None:
    """Calls `change` after the files were checked and before they are written."""
    original = job.assign_splits

    def assign_splits(*args: Any) -> None:
        change()
        original(*args)

    monkeypatch.setattr(job, "assign_splits", assign_splits)


def replace_content(path: Path, data: bytes) -> None:
    """Writes other bytes and keeps the modification time."""
    info = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def checked(path: str, **fields: Any) -> FileRecord:
    """Returns the result of a check of a usable image."""
    defaults: dict[str, Any] = {"perceptual_hash": "00" * 32, "stats": {f.STATS_STD: 50.0}}
    return FileRecord(path=path, size=0, mtime_ns=0, **(defaults | fields))
