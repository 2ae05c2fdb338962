"""Duplicates and contradictions among the usable files."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class DuplicateGroup(NamedTuple):
    """Files with equal pixels."""

    pixel_hash: str
    files: int
    across_splits: bool
    same_bytes: bool


class NearPair(NamedTuple):
    """Two files in different splits whose perceptual hashes are close."""

    filename_a: str
    filename_b: str
    split_a: str
    split_b: str
    patient_a: str
    patient_b: str


_GROUPS = (
    "SELECT pixel_hash, COUNT(*), COUNT(DISTINCT split) > 1 AS across, COUNT(DISTINCT sha256) = 1"
    " FROM files WHERE state = 'usable' GROUP BY pixel_hash HAVING COUNT(*) > 1"
)
_PAIR = (
    "SELECT a.filename, b.filename, a.split, b.split, a.patient, b.patient FROM files a, files b"
    " WHERE a.state = 'usable' AND b.state = 'usable'"
    " AND a.perceptual_hash = ? AND b.perceptual_hash = ? AND a.split != b.split"
)
_FIRST_PAIR = "ORDER BY a.filename, b.filename LIMIT 1"


class LeakageQueries:
    """Queries over the usable files, after splits are assigned."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def create_indexes(self) -> None:
        """Prepares the queries; call once, when the splits are assigned."""
        for column in ("pixel_hash", "patient", "perceptual_hash"):
            self._db.execute(f"CREATE INDEX files_{column} ON files({column})")
        self._db.execute(
            "CREATE TEMP TABLE hashes(id INTEGER PRIMARY KEY, value BLOB, splits INTEGER)"
        )
        self._db.execute(
            "INSERT INTO hashes(value, splits) SELECT perceptual_hash, MAX(split = 'train')"
            " + 2 * MAX(split = 'val') + 4 * MAX(split = 'test') FROM files"
            " WHERE state = 'usable' AND NOT flat GROUP BY perceptual_hash ORDER BY perceptual_hash"
        )
        self._db.execute(
            "CREATE TEMP TABLE pairs(i INTEGER, j INTEGER, distance INTEGER, PRIMARY KEY(i, j))"
            " WITHOUT ROWID"
        )

    def count_duplicates(self) -> tuple[int, int]:
        """Returns the number of groups of equal pixels across splits, and within one."""
        across, within = self._db.execute(
            f"SELECT COALESCE(SUM(across), 0), COALESCE(SUM(NOT across), 0) FROM ({_GROUPS})"
        ).fetchone()
        return across, within

    def duplicates(self, limit: int) -> list[DuplicateGroup]:
        """Returns groups of equal pixels, those across splits first."""
        rows = self._db.execute(f"{_GROUPS} ORDER BY across DESC, MIN(filename) LIMIT {limit}")
        return [DuplicateGroup(key, n, bool(across), bool(same)) for key, n, across, same in rows]

    def with_pixels(self, pixel_hash: str, limit: int) -> tuple[list[str], list[str]]:
        """Returns up to `limit` names of the files with these pixels, and all their splits."""
        return self._files_and_splits("pixel_hash", pixel_hash, limit)

    def of_patient(self, patient: str, limit: int) -> tuple[list[str], list[str]]:
        """Returns up to `limit` names of a patient's files, and all their splits."""
        return self._files_and_splits("patient", patient, limit)

    def _files_and_splits(self, column: str, value: str, limit: int) -> tuple[list[str], list[str]]:
        where = f"FROM files WHERE state = 'usable' AND {column} = ?"
        files = self._db.execute(
            f"SELECT filename {where} ORDER BY filename LIMIT {limit}", (value,)
        )
        splits = self._db.execute(f"SELECT DISTINCT split {where} ORDER BY 1", (value,))
        return [name for (name,) in files], [split for (split,) in splits]

    def patients_in_two_splits(self) -> Iterator[tuple[str, int]]:
        """Yields (patient, number of files) of patients in more than one split."""
        return self._db.execute(
            "SELECT patient, COUNT(*) FROM files WHERE state = 'usable'"
            " GROUP BY patient HAVING COUNT(DISTINCT split) > 1 ORDER BY patient"
        )

    def contradictory_pixels(self) -> Iterator[tuple[str, list[str]]]:
        """Yields (pixel hash, pathogens) of equal pixels whose labels exclude each other.

        `unknown` is pneumonia: it agrees with bacteria and with virus, not with normal or other.
        """
        certain = "COUNT(DISTINCT CASE WHEN pathogen != 'unknown' THEN pathogen END) > 1"
        healthy = "pathogen IN ('normal', 'other')"
        for pixel_hash, pathogens in self._db.execute(
            "SELECT pixel_hash, GROUP_CONCAT(DISTINCT pathogen) FROM files WHERE state = 'usable'"
            f" GROUP BY pixel_hash HAVING ({certain})"
            f" OR (MAX({healthy}) AND MAX(NOT {healthy})) ORDER BY MIN(filename)"
        ):
            yield pixel_hash, sorted(pathogens.split(","))

    def contradictory_names(self) -> Iterator[tuple[str, str, str, str]]:
        """Yields (filename, split, pathogen, pathogen of the name) where the two differ."""
        return self._db.execute(
            "SELECT filename, split, pathogen, name_pathogen FROM files WHERE state = 'usable'"
            " AND name_pathogen != '' AND name_pathogen != pathogen ORDER BY filename"
        )

    def count_flat(self) -> int:
        """Returns the number of usable images without contrast."""
        statement = "SELECT COUNT(*) FROM files WHERE state = 'usable' AND flat"
        return int(self._db.execute(statement).fetchone()[0])

    def hashes(self) -> Iterator[bytes]:
        """Yields the distinct perceptual hashes of the images that are not flat."""
        return (value for (value,) in self._db.execute("SELECT value FROM hashes ORDER BY id"))

    def equal_hashes(self) -> Iterator[NearPair]:
        """Yields one pair across splits per perceptual hash that different pixels share."""
        for (value,) in self._db.execute(
            "SELECT perceptual_hash FROM files WHERE state = 'usable' AND NOT flat"
            " GROUP BY perceptual_hash HAVING COUNT(DISTINCT pixel_hash) > 1"
            " AND COUNT(DISTINCT split) > 1 ORDER BY MIN(filename)"
        ):
            statement = f"{_PAIR} AND a.pixel_hash != b.pixel_hash {_FIRST_PAIR}"
            yield from map(NearPair._make, self._db.execute(statement, (value, value)))

    def add_near_pairs(self, pairs: Iterable[tuple[int, int, int]]) -> int:
        """Stores (i, j, distance) of two positions in `hashes`; returns how many are new."""
        statement = "INSERT OR IGNORE INTO pairs VALUES (?, ?, ?)"
        return self._db.executemany(statement, pairs).rowcount

    def near_pairs(self) -> Iterator[tuple[bytes, bytes, bool, int]]:
        """Yields (hash, hash, across splits, distance) of the stored pairs, the nearest first."""
        rows: Iterator[tuple[Any, ...]] = self._db.execute(
            "SELECT a.value, b.value, a.splits | b.splits, distance FROM pairs"
            " JOIN hashes a ON a.id = i + 1 JOIN hashes b ON b.id = j + 1 ORDER BY distance, i, j"
        )
        return ((a, b, splits.bit_count() > 1, distance) for a, b, splits, distance in rows)

    def example(self, hash_a: bytes, hash_b: bytes) -> NearPair | None:
        """Returns the first pair of files across splits with these perceptual hashes."""
        row = self._db.execute(f"{_PAIR} {_FIRST_PAIR}", (hash_a, hash_b)).fetchone()
        return NearPair(*row) if row else None
