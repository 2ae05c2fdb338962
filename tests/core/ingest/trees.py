"""Small trees of images for the tests of ingest."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from core.ingest.file_record import FileRecord
from core.ingest.job import IngestSummary, ingest
from core.ingest.json_lines import read_lines
from core.ingest.options import IngestOptions
from schema import features as f
from schema.example import decode
from schema.tfrecord import read_records
from tests.support.images.synthetic import encode, gray

LOCAL = ("--direct_running_mode=in_memory",)  # the fastest for a handful of images


def jpeg(seed: int, side: int = 64) -> bytes:
    """An image like no other."""
    return encode(Image.fromarray(gray(side, side, seed)), "JPEG", quality=92)


def write(root: Path, paths: Iterable[str], first_seed: int = 0) -> Path:
    """Writes a different image under each path."""
    for seed, path in enumerate(paths, first_seed):
        put(root / path, jpeg(seed))
    return root


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def official(root: Path, patients: int = 12) -> Path:
    """train, val and test with two images of each patient."""
    paths = []
    for n in range(patients):
        paths += [f"train/PNEUMONIA/person{n}_bacteria_{2 * n + i}.jpeg" for i in (0, 1)]
        paths += [f"train/NORMAL/IM-{n:04d}-000{i}.jpeg" for i in (1, 2)]
    paths += [f"test/NORMAL/IM-{900 + n}-0001.jpeg" for n in range(4)]
    paths += [f"test/PNEUMONIA/person{900 + n}_virus_{n}.jpeg" for n in range(4)]
    paths += ["val/NORMAL/NORMAL2-IM-0003-0001.jpeg", "val/PNEUMONIA/person5_bacteria_99.jpeg"]
    return write(root, paths)


def files_below(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of everything below a folder."""
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
    """The manifest of a data set."""
    return list(read_lines(dest / "manifest.jsonl"))


def split_of(dest: Path) -> dict[str, str]:
    """File name -> split."""
    return {row["filename"]: row["split"] for row in rows(dest)}


BOX = (f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX)


def boxes(dest: Path) -> dict[str, list[tuple[float, ...]]]:
    """File name -> (ymin, xmin, ymax, xmax) of its boxes, from the records."""
    found = {}
    for shard in dest.glob("*.tfrecord"):
        for record in read_records(shard):
            values = decode(record)
            name = values[f.IMAGE_FILENAME][0].decode()
            found[name] = list(zip(*(values[key] for key in BOX), strict=True))
    return found


def checked(path: str, **fields: Any) -> FileRecord:
    """Returns the result of a check of a usable image."""
    defaults: dict[str, Any] = {"perceptual_hash": "00" * 32, "stats": {f.STATS_STD: 50.0}}
    return FileRecord(path=path, size=0, mtime_ns=0, **(defaults | fields))
