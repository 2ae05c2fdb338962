"""Leaks between splits: equal or nearly equal images, shared patients, contradictory labels."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.ingest.catalog.database import Catalog
from core.ingest.catalog.files import FLAT_STD
from core.ingest.catalog.leakage import NearPair
from core.ingest.splits.near_duplicates import fullest_band, near_pairs
from core.ingest.splits.split_warnings import unknown_patients_note
from schema.errors import PneumoError

LISTED: Final = 100  # entries of each kind in leakage.json; the counts are complete
FILES: Final = 10  # file names in one entry
MAX_PAIRS: Final = 1_000_000
WINDOW: Final = 512


class LeakageError(PneumoError):
    """The splits leak, and the option `on_leak` is `fail`."""


def leakage_report(catalog: Catalog, policy: str, distance: int, scratch: Path) -> dict[str, Any]:
    """Searches the usable files for leaks between splits.

    Args:
      catalog: with the split of every usable file.
      policy: of the split, for the notes.
      distance: near-duplicates differ in at most this many bits of 256.
      scratch: folder for the list of hashes.

    Returns:
      {"ok", "exact", "near", "patients", "contradictory", "counts", "notes"}: lists of at most
      LISTED entries, those across splits first; complete counts. `ok` is False if equal pixels,
      near-duplicates or a known patient are in two splits, or labels contradict each other. Of
      images without a known patient, only the pixels are compared; they are counted.
    """
    catalog.leakage.create_indexes()
    exact_across, exact_within = catalog.leakage.count_duplicates()
    patients, n_patients = _patients(catalog)
    contradictory, n_contradictory = _contradictory(catalog)
    near, near_across, near_within, notes = _near(catalog, distance, scratch)
    counts = {
        "exact_across_splits": exact_across,
        "exact_within_split": exact_within,
        "near_across_splits": near_across,
        "near_within_split": near_within,
        "patients_in_two_splits": n_patients,
        "contradictory": n_contradictory,
        "images_without_known_patient": catalog.splits.count_unknown(),
    }
    if n_patients and policy != "patient":
        notes.append(
            "The official train and test may number their patients separately: one key in both "
            "need not be one child, and the source does not say. They are left where they are; "
            "The split policy patient keeps every key in one split."
        )
    unknown, total = counts["images_without_known_patient"], catalog.files.count_usable()
    if note := unknown_patients_note(unknown, total):
        notes.append(f"{note}.")
    return {
        "ok": not (exact_across or near_across or n_patients or n_contradictory),
        "exact": _exact(catalog),
        "near": near,
        "patients": patients,
        "contradictory": contradictory,
        "counts": counts,
        "notes": notes,
    }


def _first_and_count(rows: Iterator[Any]) -> tuple[list[Any], int]:
    """Returns the first LISTED rows, and the number of all."""
    first = list(islice(rows, LISTED))
    return first, len(first) + sum(1 for _ in rows)


def _exact(catalog: Catalog) -> list[dict[str, Any]]:
    entries = []
    for group in catalog.leakage.duplicates(LISTED):
        files, splits = catalog.leakage.with_pixels(group.pixel_hash, FILES)
        entry = {"files": files, "count": group.files, "splits": splits}
        flags = {"across_splits": group.across_splits, "same_bytes": group.same_bytes}
        entries.append(entry | flags)
    return entries


def _patients(catalog: Catalog) -> tuple[list[dict[str, Any]], int]:
    first, total = _first_and_count(catalog.leakage.patients_in_two_splits())
    entries = []
    for patient, n in first:
        files, splits = catalog.leakage.of_patient(patient, FILES)
        entries.append({"patient": patient, "count": n, "splits": splits, "files": files})
    return entries, total


def _contradictory(catalog: Catalog) -> tuple[list[dict[str, Any]], int]:
    """Equal pixels with exclusive labels, and file names that contradict their label."""
    pixels, n_pixels = _first_and_count(catalog.leakage.contradictory_pixels())
    names, n_names = _first_and_count(catalog.leakage.contradictory_names())
    entries: list[dict[str, Any]] = []
    for value, pathogens in pixels:
        files, splits = catalog.leakage.with_pixels(value, FILES)
        entries.append({"kind": "pixels", "files": files, "splits": splits, "pathogens": pathogens})
    entries += [
        {"kind": "name", "files": [name], "splits": [split], "pathogens": [label, in_name]}
        for name, split, label, in_name in names
    ]
    return entries[:LISTED], n_pixels + n_names


def _near(
    catalog: Catalog, distance: int, scratch: Path
) -> tuple[list[dict[str, Any]], int, int, list[str]]:
    """Returns entries, number of pairs across splits and within one, notes."""
    notes = []
    if flat := catalog.leakage.count_flat():
        notes.append(
            f"{flat} images are flat (std below {FLAT_STD:g}) and can't be near duplicates"
        )
    first, across = _first_and_count(catalog.leakage.equal_hashes())
    entries = [_near_entry(pair, 0) for pair in first]
    within = 0
    hashes = _hash_list(catalog, scratch)
    if (full := fullest_band(hashes)) > WINDOW:
        notes.append(
            f"up to {full} images are alike in a band of the hash; there each was compared "
            f"with its {WINDOW} nearest only"
        )
    if _store_pairs(catalog, hashes, distance) >= MAX_PAIRS:
        notes.append(f"more than {MAX_PAIRS} near pairs; the search stopped there")
    for a, b, crosses, bits in catalog.leakage.near_pairs():
        if not crosses:
            within += 1
            continue
        across += 1
        if len(entries) < LISTED and (example := catalog.leakage.example(a, b)):
            entries.append(_near_entry(example, bits))
    return entries, across, within, notes


def _hash_list(catalog: Catalog, scratch: Path) -> np.ndarray:
    """Returns the distinct hashes, uint8 [n, 32], mapped from a file."""
    path = scratch / "hashes.bin"
    with path.open("wb") as stream:
        stream.writelines(catalog.leakage.hashes())
    if not path.stat().st_size:
        return np.zeros((0, 32), np.uint8)
    return np.memmap(path, np.uint8, "r").reshape(-1, 32)


def _store_pairs(catalog: Catalog, hashes: np.ndarray, distance: int) -> int:
    stored = 0
    for i, j, bits in near_pairs(hashes, distance, WINDOW):
        pairs = zip(i.tolist(), j.tolist(), bits.tolist(), strict=True)
        stored += catalog.leakage.add_near_pairs(pairs)
        if stored >= MAX_PAIRS:
            break
    return stored


def _near_entry(pair: NearPair, distance: int) -> dict[str, Any]:
    return {
        "distance": distance,
        "files": [pair.filename_a, pair.filename_b],
        "splits": [pair.split_a, pair.split_b],
        "patients": [pair.patient_a, pair.patient_b],
    }
