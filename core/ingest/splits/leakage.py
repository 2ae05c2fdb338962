"""What leaks between splits: equal or nearly equal pixels, one patient in two, labels at odds."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.ingest.catalog import FLAT_STD, Catalog
from core.ingest.splits.near_duplicates import fullest_band, near_pairs
from schema.errors import PneumoError

LISTED: Final = 100  # entries of each kind in leakage.json; the counts are whole
FILES: Final = 10  # files named in one entry
MAX_PAIRS: Final = 1_000_000
WINDOW: Final = 512


class LeakageError(PneumoError):
    """The splits leak and the run was told to stop for it."""


def leakage_report(catalog: Catalog, policy: str, distance: int, scratch: Path) -> dict[str, Any]:
    """Compares everything with everything that could be the same.

    Args:
      catalog: with the split of every usable file.
      policy: of the split, for the notes.
      distance: bits of 256 in which near duplicates may differ.
      scratch: folder for the list of hashes.

    Returns:
      {"ok", "exact", "near", "patients", "contradictory", "counts", "notes"}: lists of at most
      LISTED entries, those across splits first; counts of all. `ok` is False where pixels, near
      duplicates or a patient are in two splits, or labels contradict each other.
    """
    exact, exact_across, exact_within = _exact(catalog)
    patients, n_patients = _patients(catalog)
    odd, n_odd = _contradictory(catalog)
    near, near_across, near_within, notes = _near(catalog, distance, scratch)
    counts = {
        "exact_across_splits": exact_across,
        "exact_within_split": exact_within,
        "near_across_splits": near_across,
        "near_within_split": near_within,
        "patients_in_two_splits": n_patients,
        "contradictory": n_odd,
    }
    if n_patients and policy != "patient":
        notes.append(
            "The official train and test may number their patients separately: one key in both "
            "need not be one child, and the source does not say. They are left where they are; "
            "--split patient keeps every key in one split."
        )
    return {
        "ok": not (exact_across or near_across or n_patients or n_odd),
        "exact": exact,
        "near": near,
        "patients": patients,
        "contradictory": odd,
        "counts": counts,
        "notes": notes,
    }


def _first(rows: Iterator[Any]) -> tuple[list[Any], int]:
    """The first LISTED rows, and the number of all."""
    first = list(islice(rows, LISTED))
    return first, len(first) + sum(1 for _ in rows)


def _exact(catalog: Catalog) -> tuple[list[dict[str, Any]], int, int]:
    db = catalog.db
    db.execute("CREATE INDEX files_pixels ON files(pixels)")
    groups = (
        "SELECT pixels, COUNT(*), COUNT(DISTINCT split) > 1 AS crosses, COUNT(DISTINCT sha256)"
        " FROM files WHERE state = 'ok' GROUP BY pixels HAVING COUNT(*) > 1"
    )
    across, within = db.execute(
        f"SELECT COALESCE(SUM(crosses), 0), COALESCE(SUM(NOT crosses), 0) FROM ({groups})"
    ).fetchone()
    entries = []
    for pixels, n, crosses, digests in db.execute(
        f"{groups} ORDER BY crosses DESC, MIN(shown) LIMIT {LISTED}"
    ):
        files, splits = _files_of(catalog, "pixels = ?", pixels)
        entry = {"files": files, "count": n, "splits": splits}
        entries.append(entry | {"across_splits": bool(crosses), "same_bytes": digests == 1})
    return entries, across, within


def _files_of(catalog: Catalog, where: str, value: object) -> tuple[list[str], list[str]]:
    condition = f"FROM files WHERE state = 'ok' AND {where}"
    files = catalog.db.execute(f"SELECT shown {condition} ORDER BY shown LIMIT {FILES}", (value,))
    splits = catalog.db.execute(f"SELECT DISTINCT split {condition} ORDER BY 1", (value,))
    return [name for (name,) in files], [split for (split,) in splits]


def _patients(catalog: Catalog) -> tuple[list[dict[str, Any]], int]:
    catalog.db.execute("CREATE INDEX files_patient ON files(patient)")
    first, total = _first(
        catalog.db.execute(
            "SELECT patient, COUNT(*) FROM files WHERE state = 'ok'"
            " GROUP BY patient HAVING COUNT(DISTINCT split) > 1 ORDER BY patient"
        )
    )
    entries = []
    for patient, n in first:
        files, splits = _files_of(catalog, "patient = ?", patient)
        entries.append({"patient": patient, "count": n, "splits": splits, "files": files})
    return entries, total


def _contradictory(catalog: Catalog) -> tuple[list[dict[str, Any]], int]:
    """Equal pixels with labels that exclude each other, and names that deny their folder.

    `unknown` is pneumonia: it agrees with bacteria and with virus, not with normal or other.
    """
    certain = "COUNT(DISTINCT CASE WHEN pathogen != 'unknown' THEN pathogen END) > 1"
    healthy = "pathogen IN ('normal', 'other')"
    pixels, n_pixels = _first(
        catalog.db.execute(
            "SELECT pixels, GROUP_CONCAT(DISTINCT pathogen) FROM files WHERE state = 'ok'"
            f" GROUP BY pixels HAVING ({certain}) OR (MAX({healthy}) AND MAX(NOT {healthy}))"
            " ORDER BY MIN(shown)"
        )
    )
    names, n_names = _first(
        catalog.db.execute(
            "SELECT shown, split, pathogen, said FROM files"
            " WHERE state = 'ok' AND said != '' AND said != pathogen ORDER BY shown"
        )
    )
    entries: list[dict[str, Any]] = []
    for value, found in pixels:
        files, splits = _files_of(catalog, "pixels = ?", value)
        pathogens = sorted(found.split(","))
        entries.append({"kind": "pixels", "files": files, "splits": splits, "pathogens": pathogens})
    entries += [
        {"kind": "name", "files": [name], "splits": [split], "pathogens": [pathogen, said]}
        for name, split, pathogen, said in names
    ]
    return entries[:LISTED], n_pixels + n_names


def _near(
    catalog: Catalog, distance: int, scratch: Path
) -> tuple[list[dict[str, Any]], int, int, list[str]]:
    db = catalog.db
    db.execute("CREATE INDEX files_phash ON files(phash)")
    db.execute("CREATE TEMP TABLE hashes(id INTEGER PRIMARY KEY, phash BLOB, splits INTEGER)")
    db.execute(
        "INSERT INTO hashes(phash, splits) SELECT phash, MAX(split = 'train')"
        " + 2 * MAX(split = 'val') + 4 * MAX(split = 'test')"
        " FROM files WHERE state = 'ok' AND NOT flat GROUP BY phash ORDER BY phash"
    )
    notes = []
    if flat := catalog.count("state = 'ok' AND flat"):
        notes.append(
            f"{flat} images are flat (std below {FLAT_STD:g}) and can't be near duplicates"
        )
    entries, across = _first(_same_hash(catalog))
    within = 0
    hashes = _hash_list(catalog, scratch)
    if (full := fullest_band(hashes)) > WINDOW:
        notes.append(
            f"up to {full} images are alike in a band of the hash; there each was compared "
            f"with its {WINDOW} nearest only"
        )
    if _store_pairs(catalog, hashes, distance) >= MAX_PAIRS:
        notes.append(f"more than {MAX_PAIRS} near pairs; the search stopped there")
    pairs = db.execute(
        "SELECT a.phash, b.phash, a.splits | b.splits, distance FROM pairs"
        " JOIN hashes a ON a.id = i + 1 JOIN hashes b ON b.id = j + 1 ORDER BY distance, i, j"
    )
    for a, b, splits, away in pairs:
        if int(splits).bit_count() < 2:
            within += 1
            continue
        across += 1
        if len(entries) < LISTED:
            entries += [_near_entry(row, away) for row in _example(catalog, a, b)]
    return entries, across, within, notes


def _hash_list(catalog: Catalog, scratch: Path) -> np.ndarray:
    """The distinct hashes, uint8 [n, 32], mapped from a file."""
    path = scratch / "hashes.bin"
    with path.open("wb") as stream:
        for (value,) in catalog.db.execute("SELECT phash FROM hashes ORDER BY id"):
            stream.write(value)
    if not path.stat().st_size:
        return np.zeros((0, 32), np.uint8)
    return np.memmap(path, np.uint8, "r").reshape(-1, 32)


def _store_pairs(catalog: Catalog, hashes: np.ndarray, distance: int) -> int:
    db = catalog.db
    db.execute(
        "CREATE TEMP TABLE pairs(i INTEGER, j INTEGER, distance INTEGER, PRIMARY KEY(i, j))"
        " WITHOUT ROWID"
    )
    stored = 0
    for i, j, away in near_pairs(hashes, distance, WINDOW):
        rows = zip(i.tolist(), j.tolist(), away.tolist(), strict=True)
        stored += db.executemany("INSERT OR IGNORE INTO pairs VALUES (?, ?, ?)", rows).rowcount
        if stored >= MAX_PAIRS:
            break
    return stored


_PAIR = (
    "SELECT a.shown, b.shown, a.split, b.split, a.patient, b.patient FROM files a, files b"
    " WHERE a.state = 'ok' AND b.state = 'ok' AND a.phash = ? AND b.phash = ?"
    " AND a.split != b.split"
)


def _example(catalog: Catalog, a: bytes, b: bytes) -> list[tuple[str, ...]]:
    return catalog.db.execute(f"{_PAIR} ORDER BY a.shown, b.shown LIMIT 1", (a, b)).fetchall()


def _same_hash(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Pairs at distance 0 whose pixels differ."""
    for (value,) in catalog.db.execute(
        "SELECT phash FROM files WHERE state = 'ok' AND NOT flat GROUP BY phash"
        " HAVING COUNT(DISTINCT pixels) > 1 AND COUNT(DISTINCT split) > 1 ORDER BY MIN(shown)"
    ):
        for row in catalog.db.execute(
            f"{_PAIR} AND a.pixels != b.pixels ORDER BY a.shown, b.shown LIMIT 1", (value, value)
        ):
            yield _near_entry(row, 0)


def _near_entry(row: tuple[str, ...], distance: int) -> dict[str, Any]:
    return {
        "distance": distance,
        "files": list(row[:2]),
        "splits": list(row[2:4]),
        "patients": list(row[4:6]),
    }
