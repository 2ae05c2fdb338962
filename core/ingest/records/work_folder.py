"""Working folder of a run, beside the destination."""

import shutil
from pathlib import Path
from typing import Final

FORMAT_VERSION: Final = 3  # of checks and shards; a new one discards existing results


class WorkFolder:
    """Files of a running ingest.

    A task of a Beam job is named by its list here; image bytes never travel through Beam. A result
    is written under a temporary name and renamed, so an existing result is complete and a repeated
    task is harmless.

    Attributes:
      root: the folder.
      catalog: SQLite file.
      lists: input of each task: one JSON per chunk, one JSONL per shard.
      checks: results of chunks; a later run reuses those whose files did not change.
      rows: records of each shard, and the digest of the shard.
      out: becomes the destination.
      ticks: one byte per finished file; the progress bar reads its size.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.catalog, self.ticks = root, root / "catalog.sqlite", root / "ticks"
        self.lists, self.checks = root / "lists", root / "checks"
        self.rows, self.out = root / "rows", root / "out"

    def clean(self) -> None:
        """Removes what an earlier, killed run left, except finished chunks."""
        for folder in (self.out, self.rows, self.lists):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.out, self.rows, self.lists, self.checks):
            folder.mkdir(exist_ok=True)
        for partial in self.checks.glob("*.partial"):
            partial.unlink()
