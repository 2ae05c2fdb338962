"""The files of a source in SQLite on disk, so that memory stays flat whatever their number."""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.ingest.naming import parse_name, pathogen_of
from core.ingest.scan import Entry

_TABLES = """
CREATE TABLE files(
  id INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER, mtime INTEGER,
  state TEXT NOT NULL DEFAULT 'new',         -- new, todo, ok, skip, reject
  given TEXT, pathogen TEXT, said TEXT, patient TEXT, source TEXT,
  told INTEGER DEFAULT 0,                    -- the patient was told, not read from the name
  tall INTEGER, wide INTEGER,                -- pixels that boxes are told in
  shown TEXT, sha256 TEXT, pixels TEXT, phash BLOB, flat INTEGER, rank TEXT, split TEXT,
  facts TEXT);                               -- the rest of what was measured, JSON
CREATE TABLE rejects(path BLOB, reason TEXT, detail TEXT);
CREATE TABLE manifest(
  path BLOB PRIMARY KEY, label TEXT, patient TEXT, split TEXT, seen INTEGER DEFAULT 0);
CREATE TABLE boxes(
  id INTEGER PRIMARY KEY, name TEXT, line INTEGER, file INTEGER,
  x0 REAL, y0 REAL, x1 REAL, y1 REAL,        -- pixels, later relative
  reason TEXT NOT NULL DEFAULT '', clipped INTEGER NOT NULL DEFAULT 0);
CREATE TABLE patients(key TEXT PRIMARY KEY, label TEXT, fixed TEXT, split TEXT);
"""
_PAGE = 2000


def shown(path: str) -> str:
    """A path as text that every JSON reader takes: bytes that are not UTF-8 become `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Catalog:
    """Everything known of the files of one source. One run, one thread.

    Attributes:
      db: the connection; leakage and splits ask it directly.
      found: entries seen.
      skipped: name of the junk -> how many.
      hidden: files whose names told the patient and were replaced.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        # The file is thrown away after the run, so it needs no journal.
        self.db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; " + _TABLES)
        self.db.execute("PRAGMA temp_store=FILE")
        self.db.execute("BEGIN")
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.hidden = 0

    def close(self) -> None:
        """Closes the file."""
        self.db.close()

    def add_entries(self, entries: Iterable[Entry]) -> None:
        """Takes in the listing of a source."""
        for entry in entries:
            self.found += 1
            if entry.kind == "skip":
                self.skipped[entry.what] += 1
            elif entry.kind == "reject":
                self.reject(entry.path, entry.what, entry.detail)
            else:
                self.db.execute(
                    "INSERT INTO files(path, size, mtime) VALUES (?, ?, ?)",
                    (os.fsencode(entry.path), entry.size, entry.mtime_ns),
                )
        self.db.execute("CREATE UNIQUE INDEX files_path ON files(path)")

    def reject(self, path: str, reason: str, detail: str) -> None:
        """Writes down a file that can't be used."""
        row = (os.fsencode(path), reason, detail)
        self.db.execute("INSERT INTO rejects VALUES (?, ?, ?)", row)

    def reject_file(self, file_id: int, path: str, reason: str, detail: str) -> None:
        """The same for one that is in the table of files."""
        self.db.execute("UPDATE files SET state = 'reject' WHERE id = ?", (file_id,))
        self.reject(path, reason, detail)

    def skip_file(self, file_id: int, what: str) -> None:
        """Counts a file as junk."""
        self.db.execute("UPDATE files SET state = 'skip' WHERE id = ?", (file_id,))
        self.skipped[what] += 1

    def pages(self, columns: str, where: str) -> Iterator[tuple[Any, ...]]:
        """Yields rows of files in pages, so that they may be changed meanwhile.

        Args:
          columns: of the select; the id is put before them.
          where: condition on files.
        """
        after = 0
        while rows := self.db.execute(
            f"SELECT id, {columns} FROM files WHERE id > ? AND ({where}) ORDER BY id LIMIT {_PAGE}",
            (after,),
        ).fetchall():
            yield from rows
            after = rows[-1][0]

    def size_of(self, path: str) -> int | None:
        """Bytes of a listed file, or None."""
        row = self.db.execute(
            "SELECT size FROM files WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return row[0] if row else None

    def count(self, where: str) -> int:
        """Number of files with a condition."""
        return int(self.db.execute(f"SELECT COUNT(*) FROM files WHERE {where}").fetchone()[0])

    def todo(self) -> Iterator[tuple[str, int, int]]:
        """Yields (path, size, mtime_ns) of the files to be checked, by path."""
        for path, size, mtime in self.db.execute(
            "SELECT path, size, mtime FROM files WHERE state = 'todo' ORDER BY path"
        ):
            yield os.fsdecode(path), size, mtime

    def place(
        self,
        file_id: int,
        path: str,
        pathogen: str,
        *,
        given: str = "",
        patient: str = "",
        source: str = "",
    ) -> None:
        """Gives a file its class, and what else is told or its name tells.

        Args:
          file_id: of the file.
          path: below the source.
          pathogen: unknown may be refined by the name.
          given: official split.
          patient: where it is told; otherwise the name tells.
          source: batch, likewise.
        """
        text = shown(path)
        name = parse_name(text)
        self.db.execute(
            "UPDATE files SET state = 'todo', shown = ?, pathogen = ?, said = ?, patient = ?,"
            " told = ?, source = ?, given = ? WHERE id = ?",
            (
                text,
                pathogen_of(pathogen, text),
                name.pathogen or "",
                patient or name.patient,
                bool(patient),
                source or name.source,
                given,
                file_id,
            ),
        )

    def add_result(self, row: dict[str, Any]) -> None:
        """Takes in what a check found of one file."""
        path = row["path"]
        raw = os.fsencode(path)
        if hidden := row.get("hidden"):
            # Whatever else is told of this file is told under another name.
            self.hidden += 1
            self.db.execute("UPDATE files SET shown = ? WHERE path = ?", (hidden, raw))
        if "reason" in row:
            self.db.execute("UPDATE files SET state = 'reject' WHERE path = ?", (raw,))
            self.reject(hidden or path, row["reason"], row["detail"])
            return
        facts = {k: row[k] for k in ("format", "height", "width", "bytes", "stats")}
        tall, wide = row["height"], row["width"]
        if tags := row.get("dicom"):
            facts["dicom"] = tags
            tall, wide = tags["rows"], tags["columns"]
            self._add_tags(raw, tags.get("view", ""), row["patient"], hidden)
        self.db.execute(
            "UPDATE files SET state = 'ok', sha256 = ?, pixels = ?, phash = ?, flat = ?, rank = ?,"
            " tall = ?, wide = ?, facts = ? WHERE path = ?",
            (
                row["sha256"],
                row["pixel_hash"],
                bytes.fromhex(row["perceptual_hash"]),
                row["stats"]["stats/std"] < FLAT_STD,
                row["rank"],
                tall,
                wide,
                json.dumps(facts),
                raw,
            ),
        )

    def _add_tags(self, raw: bytes, view: str, patient: str, hidden: str | None) -> None:
        """Patient and batch of a DICOM file: the view is the batch that a model could learn."""
        if patient or hidden:
            self.db.execute(
                "UPDATE files SET patient = ? WHERE path = ? AND NOT told",
                (patient or hidden, raw),
            )
        self.db.execute(
            "UPDATE files SET source = CASE source WHEN 'other' THEN 'dicom' ELSE source END || ?"
            " WHERE path = ? AND source != 'synthetic'",
            (f"-{view}" if view else "", raw),
        )

    def rejects(self) -> Iterator[dict[str, str]]:
        """Yields the rows of rejects.jsonl, by path."""
        for path, reason, detail in self.db.execute(
            "SELECT path, reason, detail FROM rejects ORDER BY path, reason, detail"
        ):
            yield {"file": shown(os.fsdecode(path)), "reason": reason, "detail": detail}

    def reasons(self) -> dict[str, int]:
        """Reason -> number of rejects."""
        return dict(
            self.db.execute("SELECT reason, COUNT(*) FROM rejects GROUP BY reason ORDER BY reason")
        )


FLAT_STD = 2.0  # gray values; below it a perceptual hash says nothing
