"""Files of a source, rejects and skipped files."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from core.images.dicom.tags import is_patient_key
from core.ingest.file_names import image_key, parse_name, pathogen_of, printable
from core.ingest.file_record import FileRecord, decode_record, encode_record
from core.ingest.scan import SourceEntry
from core.patients.placeholders import is_placeholder
from schema import features as f

FLAT_STD: Final = 2.0  # gray values; below it a perceptual hash is meaningless
_PAGE: Final = 2000


def paged(db: sqlite3.Connection, key: str, columns: str, where: str) -> Iterator[tuple[Any, ...]]:
    """Yields rows of `files` in pages, so that the caller may change them meanwhile.

    Args:
      db: the catalog.
      key: unique column that orders the rows; it must be the first of `columns`.
      columns: to select.
      where: condition.
    """
    select = f"SELECT {columns} FROM files WHERE ({where})"
    order = f"ORDER BY {key} LIMIT {_PAGE}"
    rows = db.execute(f"{select} {order}").fetchall()
    while rows:
        yield from rows
        rows = db.execute(f"{select} AND {key} > ? {order}", (rows[-1][0],)).fetchall()


class FileTable:
    """Files of one source.

    Attributes:
      found: number of entries, including missing files that a table names.
      skipped: kind of skipped file -> number.
      renamed: number of files whose names identified the patient and were replaced.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.renamed = 0

    def add_entries(self, entries: Iterable[SourceEntry]) -> None:
        """Adds the listing of the source."""
        for entry in entries:
            self.found += 1
            if entry.kind == "skip":
                self.skipped[entry.reason] += 1
            elif entry.kind == "reject":
                self._add_reject(entry.path, entry.reason, entry.detail)
            else:
                self._db.execute(
                    "INSERT INTO files(path, size, mtime_ns) VALUES (?, ?, ?)",
                    (os.fsencode(entry.path), entry.size, entry.mtime_ns),
                )
        self._db.execute("CREATE UNIQUE INDEX files_path ON files(path)")

    def add_missing(self, name: str, detail: str) -> None:
        """Adds a file that a table names and the source lacks; it counts as found and rejected."""
        self.found += 1
        self._add_reject(name, "missing", detail)

    def _add_reject(self, path: str, reason: str, detail: str) -> None:
        row = (os.fsencode(path), reason, detail)
        self._db.execute("INSERT INTO rejects VALUES (?, ?, ?)", row)

    def _set_state(self, path: str, state: str) -> None:
        self._db.execute("UPDATE files SET state = ? WHERE path = ?", (state, os.fsencode(path)))

    def reject(self, path: str, reason: str, detail: str) -> None:
        """Rejects a listed file."""
        self._set_state(path, "rejected")
        self._add_reject(path, reason, detail)

    def skip(self, path: str, kind: str) -> None:
        """Skips a listed file."""
        self._set_state(path, "skipped")
        self.skipped[kind] += 1

    def label(
        self,
        path: str,
        pathogen: str,
        *,
        official_split: str = "",
        patient: str = "",
        patient_known: bool = True,
        source: str = "",
        source_known: bool = False,
    ) -> None:
        """Labels a listed file.

        Args:
          path: of the file.
          pathogen: `unknown` may be refined by the file name.
          official_split: train, val, test or "".
          patient: key from a table; without one, or with a placeholder, derived from the path.
          patient_known: whether the key from the table is that of a patient.
          source: batch; derived from the file name by default.
          source_known: from a table, so the view of a DICOM file is not appended.
        """
        filename = printable(path)
        name = parse_name(filename)
        fixed = not is_placeholder(patient)
        self._db.execute(
            "UPDATE files SET state = 'labeled', filename = ?, pathogen = ?, name_pathogen = ?,"
            " patient = ?, patient_known = ?, patient_fixed = ?, viewer_name = ?, source = ?,"
            " source_known = ?, official_split = ? WHERE path = ?",
            (
                filename,
                pathogen_of(pathogen, filename),
                name.pathogen or "",
                patient if fixed else name.patient,
                patient_known if fixed else name.known,
                fixed,
                "" if fixed else name.viewer_name,
                source or name.source,
                source_known,
                official_split,
                os.fsencode(path),
            ),
        )

    def paths(self) -> Iterator[str]:
        """Yields the paths of all files, in no particular order."""
        return (os.fsdecode(path) for (path,) in self._db.execute("SELECT path FROM files"))

    def unlabeled(self) -> Iterator[tuple[str, int]]:
        """Yields (path, size) of the files without a label, by path; they may be changed."""
        rows = paged(self._db, "path", "path, size", "state = 'listed'")
        return ((os.fsdecode(path), size) for path, size in rows)

    def without_official_split(self) -> Iterator[str]:
        """Yields the paths of labeled files without an official split; they may be changed."""
        rows = paged(self._db, "path", "path", "state = 'labeled' AND official_split = ''")
        return (os.fsdecode(path) for (path,) in rows)

    def labeled(self) -> Iterator[FileRecord]:
        """Yields the files to check, by path."""
        for path, size, mtime_ns in self._db.execute(
            "SELECT path, size, mtime_ns FROM files WHERE state = 'labeled' ORDER BY path"
        ):
            yield FileRecord(path=os.fsdecode(path), size=size, mtime_ns=mtime_ns)

    def size_of(self, path: str) -> int | None:
        """Returns the bytes of a listed file, or None."""
        row = self._db.execute(
            "SELECT size FROM files WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return row[0] if row else None

    def _count(self, where: str, *values: object) -> int:
        statement = f"SELECT COUNT(*) FROM files WHERE {where}"
        return int(self._db.execute(statement, values).fetchone()[0])

    def count_listed(self) -> int:
        """Returns the number of files, whatever their state."""
        return self._count("1")

    def count_labeled(self) -> int:
        """Returns the number of files to check."""
        return self._count("state = 'labeled'")

    def count_usable(self, split: str | None = None) -> int:
        """Returns the number of usable files, of one split or of all."""
        return self._count("state = 'usable' AND (?1 IS NULL OR split = ?1)", split)

    def has_dicom(self) -> bool:
        """Whether a file to check has a DICOM suffix."""
        suffix = "filename LIKE '%.dcm' OR filename LIKE '%.dicom'"
        return self._count(f"state = 'labeled' AND ({suffix})") > 0

    def has_synthetic(self) -> bool:
        """Whether a usable file is a phantom."""
        # A manifest may name another source.
        named = "source = 'synthetic' OR '/' || filename LIKE '%/synthetic-%'"
        return self._count(f"state = 'usable' AND ({named})") > 0

    def add_check(self, result: FileRecord, sort_key: str) -> None:
        """Stores the result of a check.

        Args:
          result: measurements, or the reason of a reject.
          sort_key: orders the records of a split.
        """
        path = os.fsencode(result.path)
        if result.filename:
            self.renamed += 1
            self._db.execute(
                "UPDATE files SET filename = ? WHERE path = ?", (result.filename, path)
            )
        if result.reason:
            self._set_state(result.path, "rejected")
            self._add_reject(result.filename or result.path, result.reason, result.detail)
            return
        height, width = result.height, result.width
        if result.dicom:
            height, width = result.dicom["rows"], result.dicom["columns"]
            self._add_dicom(result)
        self._db.execute(
            "UPDATE files SET state = 'usable', sha256 = ?, pixel_hash = ?, perceptual_hash = ?,"
            " flat = ?, sort_key = ?, box_height = ?, box_width = ?, record = ? WHERE path = ?",
            (
                result.sha256,
                result.pixel_hash,
                bytes.fromhex(result.perceptual_hash),
                result.stats[f.STATS_STD] < FLAT_STD,
                sort_key,
                height,
                width,
                encode_record(result),
                path,
            ),
        )

    def _add_dicom(self, result: FileRecord) -> None:
        """Stores patient and batch. The view is part of the batch: a model could learn it.

        The PatientID replaces the patient of the path; the study, or the pseudonym of a path that
        identifies the patient, only a patient that is not known or whose key may identify.
        """
        path = os.fsencode(result.path)
        patient = result.patient_id or (result.filename and image_key(result.filename))
        known = is_patient_key(result.patient_id)
        if patient:
            self._db.execute(
                "UPDATE files SET patient = ?, patient_known = ?, viewer_name = '' WHERE path = ?"
                " AND NOT patient_fixed AND (? OR NOT patient_known)",
                (patient, known, path, known or bool(result.filename)),
            )
        view = result.dicom.get("view", "")
        self._db.execute(
            "UPDATE files SET source = CASE source WHEN 'other' THEN 'dicom' ELSE source END || ?"
            " WHERE path = ? AND source != 'synthetic' AND NOT source_known",
            (f"-{view}" if view else "", path),
        )

    def usable(self, split: str) -> Iterator[FileRecord]:
        """Yields the records of a split, in their final order, without boxes."""
        for record, *values in self._db.execute(
            "SELECT record, filename, pathogen, patient, patient_known, source FROM files"
            " WHERE state = 'usable' AND split = ? ORDER BY sort_key, filename",
            (split,),
        ):
            names = ("filename", "pathogen", "patient_id", "patient_known", "source")
            fields = dict(zip(names, values, strict=True))
            fields["patient_known"] = bool(fields["patient_known"])
            yield replace(decode_record(record), split=split, **fields)

    def reject_late(self, path: str, reason: str, detail: str) -> None:
        """Rejects a usable file that could not be written, under its pseudonym if it has one."""
        (name,) = self._db.execute(
            "SELECT filename FROM files WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        self._set_state(path, "rejected")
        self._add_reject(path if name == printable(path) else name, reason, detail)

    def rejects(self) -> Iterator[dict[str, str]]:
        """Yields the rows of rejects.jsonl, by path."""
        for path, reason, detail in self._db.execute(
            "SELECT path, reason, detail FROM rejects ORDER BY path, reason, detail"
        ):
            yield {"file": printable(os.fsdecode(path)), "reason": reason, "detail": detail}

    def reject_reasons(self) -> dict[str, int]:
        """Returns reason -> number of rejects."""
        return dict(
            self._db.execute("SELECT reason, COUNT(*) FROM rejects GROUP BY reason ORDER BY reason")
        )

    def unknown_classes(self) -> list[str]:
        """Returns a line for each folder or label that is no class, most files first."""
        rows = self._db.execute(
            "SELECT COUNT(*), detail FROM rejects WHERE reason = 'unknown_class' "
            "GROUP BY detail ORDER BY COUNT(*) DESC, detail"
        )
        return [f"{n} files were rejected: {detail}" for n, detail in rows]
