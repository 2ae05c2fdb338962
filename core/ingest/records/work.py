"""The working folder of a run, and the first of its two kinds of work: checking a chunk of files.

A piece of work is named by a list on disk; image bytes never travel through Beam. Its result is
written under a temporary name and renamed: a finished result is whole, and doing a piece twice does
no harm.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from core.images.dicom.read import MAX_BYTES
from core.images.dicom.refusal import Refusal
from core.ingest.source.dicom import as_image
from schema.files import atomic

CHUNK = 64
VERSION = 2  # of the results of checks and of the shards; a new one discards old results


class WorkFolder:
    """Files of a running ingest, beside the destination.

    Attributes:
      root: the folder.
      catalog: SQLite file.
      lists: input of each piece: one JSON per chunk, one JSONL per shard.
      checks: results of chunks; a later run reuses those whose files did not change.
      rows: contents of each shard.
      out: becomes the destination.
      ticks: a byte for each finished file; the progress bar reads its size.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.catalog, self.ticks = root, root / "catalog.sqlite", root / "ticks"
        self.lists, self.checks = root / "lists", root / "checks"
        self.rows, self.out = root / "rows", root / "out"


def json_line(row: dict[str, Any]) -> bytes:
    """One line of a JSONL file; ASCII, so that any file name passes."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSONL file."""
    with path.open("rb") as stream:
        yield from map(json.loads, stream)


def chunk_lists(
    files: Iterable[tuple[str, int, int]], work: WorkFolder, settings: dict[str, Any]
) -> Iterator[str]:
    """Writes the lists of chunks and yields their names, in the order of the files.

    A name is the digest of everything that the result depends on, so an existing result of this
    name can be reused.

    Args:
      files: (path, size, mtime_ns).
      work: where to.
      settings: of the check.
    """
    rest = iter(files)
    while chunk := list(islice(rest, CHUNK)):
        content = json.dumps({"version": VERSION, **settings, "files": chunk}).encode()
        name = hashlib.sha256(content).hexdigest()[:32]
        with atomic(work.lists / f"{name}.json") as stream:
            stream.write(content)
        yield name


def check_chunk(work: WorkFolder, source: Path, name: str, salt: str) -> None:
    """Checks the files of one chunk and writes `checks/NAME.jsonl`."""
    from core.ingest.source.checks import check_image  # Pillow and numpy, in workers alone

    job = json.loads((work.lists / f"{name}.json").read_bytes())
    with atomic(work.checks / f"{name}.jsonl") as stream, work.ticks.open("ab", 0) as ticks:
        for path, size, mtime in job["files"]:
            row = {"path": path}
            try:
                data = read_unchanged(f"{source}/{path}", size, mtime)
                image, facts = as_image(data, path, job, salt)
                row |= vars(check_image(image, job["max_pixels"], job["min_side"])) | facts
            except Refusal as refusal:
                row |= {"reason": refusal.reason, "detail": refusal.detail, "named": refusal.named}
            if row.pop("named", False) and job["hide"]:
                row["hidden"] = hidden_name(path, salt)
            stream.write(json_line(row))
            ticks.write(b".")


def hidden_name(path: str, salt: str) -> str:
    """A name for a file whose own identifies the patient: a digest of salt and path."""
    digest = hashlib.sha256(salt.encode("utf-8", "surrogateescape") + b"\0" + os.fsencode(path))
    return f"dicom-{digest.hexdigest()[:24]}"


def read_unchanged(path: str, size: int, mtime_ns: int) -> bytes:
    """Bytes of a file that is still as it was listed.

    Raises:
      Refusal: it can't be read, is too large, or changed.
    """
    if size > MAX_BYTES:
        raise Refusal("too_large", f"{size} bytes; at most {MAX_BYTES}")
    try:
        with open(path, "rb") as stream:  # noqa: PTH123, once per image
            data = stream.read(size + 1)
            info = os.fstat(stream.fileno())
    except FileNotFoundError:
        raise Refusal("changed_during_run", "it is gone since it was listed") from None
    except OSError as error:
        raise Refusal("unreadable", error.strerror or type(error).__name__) from None
    if (info.st_size, info.st_mtime_ns) != (size, mtime_ns) or len(data) != size:
        raise Refusal("changed_during_run", "it changed since it was listed")
    return data
