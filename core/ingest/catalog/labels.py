"""Label tables that come with a source."""

import os
import sqlite3
from typing import NamedTuple


class ManifestLabel(NamedTuple):
    """Label of one file in a manifest; patient, split and source may be empty."""

    label: str
    patient: str
    split: str
    source: str


class ManifestTable:
    """Rows of a manifest, by path."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, path: str, label: ManifestLabel) -> bool:
        """Adds a row; returns False where the path has one already."""
        statement = (
            "INSERT OR IGNORE INTO manifest(path, label, patient, split, source)"
            " VALUES (?, ?, ?, ?, ?)"
        )
        return bool(self._db.execute(statement, (os.fsencode(path), *label)).rowcount)

    def match(self, path: str) -> ManifestLabel | None:
        """Returns the label of a file and marks its row as matched."""
        key = (os.fsencode(path),)
        self._db.execute("UPDATE manifest SET matched = 1 WHERE path = ?", key)
        row = self._db.execute(
            "SELECT label, patient, split, source FROM manifest WHERE path = ?", key
        ).fetchone()
        return ManifestLabel(*row) if row else None

    def unmatched(self) -> list[str]:
        """Returns the paths without a file, except rejected ones."""
        rows = self._db.execute(
            "SELECT path FROM manifest WHERE NOT matched"
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
            "INSERT INTO rsna(patient, target) VALUES (?, ?) ON CONFLICT(patient) DO"
            " UPDATE SET contradictory = contradictory OR target != excluded.target",
            (patient, target),
        )

    def add_finding(self, patient: str, finding: str) -> None:
        """Adds a row of the table of classes; patients without a target are ignored."""
        self._db.execute(
            "UPDATE rsna SET contradictory = contradictory OR COALESCE(finding != ?1, 0),"
            " finding = ?1 WHERE patient = ?2",
            (finding, patient),
        )

    def match(self, patient: str) -> RsnaLabel | None:
        """Returns the labels of a patient, and marks them as matched from now on."""
        row = self._db.execute(
            "SELECT target, finding, contradictory, matched FROM rsna WHERE patient = ?", (patient,)
        ).fetchone()
        self._db.execute("UPDATE rsna SET matched = 1 WHERE patient = ?", (patient,))
        return RsnaLabel(row[0], row[1], bool(row[2]), bool(row[3])) if row else None

    def unmatched(self) -> list[str]:
        """Returns the patients without an image."""
        rows = self._db.execute("SELECT patient FROM rsna WHERE NOT matched ORDER BY patient")
        return [patient for (patient,) in rows]
