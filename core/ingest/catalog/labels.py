"""Label tables that come with a source."""

import os
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from core.ingest.names.folding import fold
from core.ingest.names.matching import without_suffix


class ManifestLabel(NamedTuple):
    """Label of one file in a manifest; patient, split and source may be empty."""

    label: str
    patient: str
    split: str
    source: str


class ManifestTable:
    """Rows of a manifest."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, line: int, path: str, label: ManifestLabel) -> None:
        """Adds a row.

        Args:
          line: in the manifest.
          path: portable path below the source, or an end of one.
          label: of the file.
        """
        self._db.execute(
            "INSERT INTO manifest(line, path, label, patient, split, source)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (line, os.fsencode(path), *label),
        )

    def match_exactly(self) -> Iterator[tuple[int, str]]:
        """Finds the files whose paths are those of rows; yields (line, path) of the other rows."""
        db = self._db
        db.execute("UPDATE manifest SET file = (SELECT id FROM files WHERE path = manifest.path)")
        rows = db.execute("SELECT line, path FROM manifest WHERE file IS NULL ORDER BY line")
        return ((line, os.fsdecode(path)) for line, path in rows.fetchall())

    def assign(self, line: int, path: str) -> None:
        """Assigns the file of a row."""
        self._db.execute(
            "UPDATE manifest SET file = (SELECT id FROM files WHERE path = ?) WHERE line = ?",
            (os.fsencode(path), line),
        )

    def contradiction(self) -> tuple[str, int, int] | None:
        """Returns (path, line, line) of two rows that differ about one file, if there are any."""
        db = self._db
        db.execute("CREATE INDEX manifest_file ON manifest(file)")
        row = db.execute(
            "SELECT file FROM manifest WHERE file IS NOT NULL GROUP BY file"
            " HAVING COUNT(DISTINCT json_array(label, patient, split, source)) > 1"
            " ORDER BY MIN(line) LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        (path,) = db.execute("SELECT path FROM files WHERE id = ?", row).fetchone()
        select = "SELECT line, label, patient, split, source FROM manifest"
        (first, *label), *others = db.execute(f"{select} WHERE file = ? ORDER BY line", row)
        second = next(line for line, *other in others if other != label)
        return os.fsdecode(path), first, second

    def label_of(self, path: str) -> ManifestLabel | None:
        """Returns the label of a file."""
        row = self._db.execute(
            "SELECT label, patient, split, manifest.source FROM manifest"
            " WHERE file = (SELECT id FROM files WHERE path = ?) ORDER BY line",
            (os.fsencode(path),),
        ).fetchone()
        return ManifestLabel(*row) if row else None

    def labels(self) -> list[str]:
        """Returns the labels of all rows."""
        return [label for (label,) in self._db.execute("SELECT DISTINCT label FROM manifest")]

    def unmatched(self) -> list[str]:
        """Returns the paths without a file, except rejected ones."""
        rows = self._db.execute(
            "SELECT DISTINCT path FROM manifest WHERE file IS NULL"
            " AND path NOT IN (SELECT path FROM rejects) ORDER BY path"
        )
        return [os.fsdecode(path) for (path,) in rows]


class RsnaLabel(NamedTuple):
    """Labels of one patient of the RSNA challenge.

    Attributes:
      target: "1" with an opacity, otherwise "0".
      finding: casefolded class; None where the table of classes has no row.
      contradictory: two rows differ.
      matched: an image has been matched already.
    """

    target: str
    finding: str | None
    contradictory: bool
    matched: bool


class RsnaTable:
    """Labels of the RSNA challenge, by patient."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add_target(self, patient: str, target: str) -> None:
        """Adds a row of the table of labels."""
        self._db.execute(
            "INSERT INTO rsna(patient, name, target) VALUES (?, ?, ?) ON CONFLICT(patient) DO"
            " UPDATE SET contradictory = contradictory OR target != excluded.target",
            (_patient_key(patient), patient, target),
        )

    def add_finding(self, patient: str, finding: str) -> None:
        """Adds a row of the table of classes; patients without a target are ignored."""
        self._db.execute(
            "UPDATE rsna SET contradictory = contradictory OR COALESCE(finding != ?1, 0),"
            " finding = ?1 WHERE patient = ?2",
            (finding, _patient_key(patient)),
        )

    def match(self, patient: str) -> RsnaLabel | None:
        """Returns the labels of a patient, and marks them as matched from now on."""
        key = (_patient_key(patient),)
        row = self._db.execute(
            "SELECT target, finding, contradictory, matched FROM rsna WHERE patient = ?", key
        ).fetchone()
        self._db.execute("UPDATE rsna SET matched = 1 WHERE patient = ?", key)
        return RsnaLabel(row[0], row[1], bool(row[2]), bool(row[3])) if row else None

    def unmatched(self) -> list[str]:
        """Returns the patients without an image."""
        rows = self._db.execute("SELECT name FROM rsna WHERE NOT matched ORDER BY name")
        return [patient for (patient,) in rows]


def _patient_key(patient: str) -> str:
    return fold(without_suffix(patient))
