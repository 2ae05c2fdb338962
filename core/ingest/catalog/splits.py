"""Patients and splits."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from core.ingest.file_names import printable

_DRAWN = "state = 'usable' AND NOT (? AND official_split = 'test')"


class SplitPatient(NamedTuple):
    """A patient to assign to a split.

    Attributes:
      key: identity.
      pathogen: the rarest of the patient's pathogens.
      fixed_split: split that is prescribed for the patient; "" to draw one.
    """

    key: str
    pathogen: str
    fixed_split: str = ""


class SplitTable:
    """Assigns splits to the usable files, as the source has them or by patient."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def official(self) -> set[str]:
        """Returns the official splits of the labeled files; "" for files without one."""
        rows = self._db.execute("SELECT DISTINCT official_split FROM files WHERE state = 'labeled'")
        return {split for (split,) in rows}

    def use_official(self) -> None:
        """Takes the official split of every file."""
        self._db.execute("UPDATE files SET split = official_split WHERE state = 'usable'")

    def separate_equal_names(self, distance: int) -> None:
        """Ends a naming rule where a viewer gave the same names to images of many patients.

        A viewer names the images of every patient alike (`IM-0001-0001`), each in a folder of its
        own. So if there are more folders than keys, and equal names are different images, keys
        hold within their folder only, and their patients are not known.

        Args:
          distance: equal images differ in at most this many bits of their perceptual hash.
        """
        rows = self._db.execute(
            "SELECT id, path, viewer_name, patient, perceptual_hash, flat FROM files"
            " WHERE state = 'usable' AND viewer_name != '' ORDER BY viewer_name, path"
        )
        scoped, keys, folders = [], set(), set()
        previous, different = ("", 0), False
        for file_id, path, name, patient, value, flat in rows:
            folder = printable(os.path.dirname(os.fsdecode(path)))  # noqa: PTH120
            keys.add(patient)
            folders.add(folder)
            scoped.append((f"image:{folder}/{patient}", file_id))
            if flat:
                continue
            bits = int.from_bytes(value, "big")
            different |= name == previous[0] and (bits ^ previous[1]).bit_count() > distance
            previous = name, bits
        if different and len(folders) > len(keys):
            self._db.executemany(
                "UPDATE files SET patient = ?, patient_known = 0 WHERE id = ?", scoped
            )

    def largest_patient(self) -> tuple[str, int]:
        """Returns key and number of usable images of the patient with most of them."""
        return self._db.execute(
            "SELECT patient, COUNT(*) AS n FROM files WHERE state = 'usable'"
            " GROUP BY patient ORDER BY n DESC, patient LIMIT 1"
        ).fetchone()

    def count_unknown(self) -> int:
        """Returns the number of usable images without a known patient."""
        statement = "SELECT COUNT(*) FROM files WHERE state = 'usable' AND NOT patient_known"
        return int(self._db.execute(statement).fetchone()[0])

    def collect_patients(self, keep_official: bool) -> None:
        """Collects the patients to draw, each with the rarest of its pathogens.

        Args:
          keep_official: leave out the official test split, and keep the patients of the official
            val split in val.
        """
        self._db.execute(
            f"""
            WITH drawn AS (SELECT DISTINCT patient, pathogen FROM files WHERE {_DRAWN}),
            rarity AS (SELECT pathogen, COUNT(*) AS n FROM drawn GROUP BY pathogen),
            ranked AS (
              SELECT patient, drawn.pathogen AS pathogen,
                ROW_NUMBER() OVER (PARTITION BY patient ORDER BY n, drawn.pathogen) AS position
              FROM drawn JOIN rarity ON rarity.pathogen = drawn.pathogen)
            INSERT INTO patients(patient, pathogen, fixed_split)
            SELECT patient, pathogen, '' FROM ranked WHERE position = 1
            """,
            (keep_official,),
        )
        if keep_official:
            self._db.execute(
                "UPDATE patients SET fixed_split = 'val' WHERE patient IN"
                " (SELECT patient FROM files WHERE state = 'usable' AND official_split = 'val')"
            )

    def patients(self) -> Iterator[SplitPatient]:
        """Yields the collected patients by key."""
        rows = self._db.execute(
            "SELECT patient, pathogen, fixed_split FROM patients ORDER BY patient"
        )
        return map(SplitPatient._make, rows)

    def assign(self, splits: Iterable[tuple[str, str]], keep_official: bool) -> None:
        """Writes the split of every usable file.

        Args:
          splits: (patient, split).
          keep_official: see `collect_patients`.
        """
        db = self._db
        db.execute("CREATE TEMP TABLE drawn(patient TEXT, split TEXT)")
        db.executemany("INSERT INTO drawn VALUES (?, ?)", splits)
        db.execute(
            "UPDATE patients SET split = drawn.split FROM drawn"
            " WHERE drawn.patient = patients.patient"
        )
        db.execute("DROP TABLE drawn")
        db.execute(
            "UPDATE files SET split = patients.split FROM patients"
            f" WHERE patients.patient = files.patient AND {_DRAWN}",
            (keep_official,),
        )
        if keep_official:
            db.execute(
                "UPDATE files SET split = 'test' WHERE state = 'usable' AND official_split = 'test'"
            )

    def add_written(self, split: str, patient: str) -> None:
        """Counts a patient of a written record."""
        self._db.execute("INSERT OR IGNORE INTO written VALUES (?, ?)", (split, patient))

    def written_patients(self) -> dict[str, int]:
        """Returns the number of patients of the written records per split."""
        return dict(
            self._db.execute("SELECT split, COUNT(DISTINCT patient) FROM written GROUP BY split")
        )
