"""Index of the names of the files, for tables that name files."""

import difflib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.ingest.file_names import printable
from core.ingest.names.folding import fold
from core.ingest.names.matching import (
    alternatives,
    best_matches,
    ends,
    may_identify,
    portable_path,
    relative_to_source,
    without_suffix,
)

HINTS: Final = 20  # missing names of a table for which the nearest file is searched
_RIVALS: Final = 64  # files that are compared for one name
_NEIGHBORS: Final = 2000  # names before and after a missing one among which the nearest is searched


class NameIndex:
    """Finds the files that a table names; see `name_matching.best_matches`.

    The index is built with the first name: without a table it would cost more than the plan.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._built = False

    def find(self, name: str, state: str, source: Path, folder: Path) -> list[str]:
        """Returns the paths of the files that a name fits; more than one if it is ambiguous.

        Args:
          name: path, or an end of a path, as the table has it.
          state: of the files.
          source: folder of images, without links.
          folder: of the table.
        """
        name = relative_to_source(portable_path(name), source, folder)
        if paths := best_matches(name, self._candidates(name, state, whole=False)):
            return paths
        for path in alternatives(name, source):
            if paths := best_matches(path, self._candidates(path, state, whole=True)):
                return paths
        return []

    def nearest(self, name: str) -> str:
        """Returns the printable path of the file with the most similar name, or "".

        Never a name that may identify a patient, because hints are stored.
        """
        self._build()
        key = _key(name.rpartition("/")[2])
        near: dict[str, str] = {}
        for compare, order in (("<", "DESC"), (">=", "ASC")):
            for end, raw in self._db.execute(
                "SELECT key, path FROM names JOIN files ON files.id = file"
                f" WHERE last AND key {compare} ? ORDER BY key {order} LIMIT ?",
                (key, _NEIGHBORS),
            ):
                path = os.fsdecode(raw)
                if not may_identify(path):
                    near.setdefault(end, path)
        close = difflib.get_close_matches(key, near, 1, cutoff=0.7)
        return printable(near[close[0]]) if close else ""

    def _candidates(self, name: str, state: str, whole: bool) -> Iterator[str]:
        self._build()
        for (raw,) in self._db.execute(
            "SELECT path FROM names JOIN files ON files.id = file WHERE key = ?"
            f" AND state = ? {'AND dropped = 0' if whole else ''} ORDER BY dropped LIMIT ?",
            (_key(name), state, _RIVALS),
        ):
            yield os.fsdecode(raw)

    def _build(self) -> None:
        if self._built:
            return
        self._built = True
        self._db.execute("CREATE TEMP TABLE names(key TEXT, dropped INTEGER, last, file INTEGER)")
        for file_id, raw in self._db.execute("SELECT id, path FROM files"):
            keys = list(ends(_key(portable_path(os.fsdecode(raw)))))
            self._db.executemany(
                "INSERT INTO names VALUES (?, ?, ?, ?)",
                [(key, n, n == len(keys) - 1, file_id) for n, key in enumerate(keys)],
            )
        self._db.execute("CREATE INDEX names_key ON names(key, dropped)")
        self._db.execute("CREATE INDEX names_last ON names(key) WHERE last")


def fits_several(paths: list[str]) -> str:
    """Returns a stored hint; without the names if they may identify patients."""
    if any(map(may_identify, paths)):
        return f"fits {len(paths)} files"
    more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
    return f"fits {printable(paths[0])} and {printable(paths[1])}{more}"


def _key(path: str) -> str:
    return fold(without_suffix(path))
