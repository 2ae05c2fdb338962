"""Checks that the shards of a data set are those that ingest wrote."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from core.ingest.summary import IngestSummary
from schema import features as f
from schema.errors import PneumoError
from schema.tfrecord import read_records

_SHARD: Final = re.compile(r"(\w+)-(\d{5,})-of-(\d{5,})\.tfrecord")
_BLOCK: Final = 1 << 20
_HINT: Final = "copy the data set again, or run pneumo ingest --overwrite again"


def check_shards(
    folder: Path, summary: IngestSummary, progress: Callable[[str, int, int], None] | None = None
) -> None:
    """Compares the shards of a data set with its `content_sha256`, reading each file once.

    Args:
      folder: the data set.
      summary: its `dataset.json`.
      progress: called with "verify" and MiB read and in total.

    Raises:
      PneumoError: a shard is missing, surplus, unreadable, truncated or damaged, or was changed.
    """
    shards = list_shards(folder, summary.splits)
    total = sum(shard.stat().st_size for shard in shards)
    digests, done = hashlib.sha256(), 0
    for shard in shards:
        digest = hashlib.sha256()
        for block in _blocks(shard):
            digest.update(block)
            done += len(block)
            if progress:
                progress("verify", done >> 20, total >> 20)
        digests.update(f"{shard.name} {digest.hexdigest()}\n".encode())
    if digests.hexdigest() == summary.content_sha256:
        return
    for shard in shards:
        for _ in read_records(shard):  # raises at the first damaged record
            pass
    raise PneumoError(
        f"{folder}: the shards were changed since ingest (content_sha256 in dataset.json differs); "
        f"{_HINT}"
    )


def list_shards(folder: Path, splits: Mapping[str, object]) -> list[Path]:
    """Returns the shards in the order of `content_sha256`.

    Raises:
      PneumoError: a shard is missing, or a file is named like a shard and is none.
    """
    found: dict[str, dict[int, Path]] = {}
    totals: dict[str, int] = {}
    for file in folder.glob("*.tfrecord"):
        match = _SHARD.fullmatch(file.name)
        split, number, total = match.groups() if match else ("", "", "")
        if split not in splits or totals.setdefault(split, int(total)) != int(total):
            raise PneumoError(
                f"{folder}: {file.name} is not a shard of this data set; remove it, or run "
                "pneumo ingest --overwrite again"
            )
        found.setdefault(split, {})[int(number)] = file
    shards = []
    for split in (split for split in f.SPLITS if split in splits):
        total = totals.get(split, 1)
        for number in range(total):
            if number not in found.get(split, {}):
                name = f"{split}-{number:05d}-of-{total:05d}.tfrecord"
                raise PneumoError(f"{folder}: shard {name} is missing; {_HINT}")
            shards.append(found[split][number])
    return shards


def _blocks(shard: Path) -> Iterator[bytes]:
    try:
        with shard.open("rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except OSError as error:
        raise PneumoError(f"shard {shard} cannot be read: {error.strerror}; {_HINT}") from None
