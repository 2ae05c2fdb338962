"""Draws the split of each patient.

The split depends on the seed and the patient's key only: u = hash(seed, key) in [0, 1); [0, test)
is test, [test, test + val) is val, the rest train. More images or patients therefore never move a
patient, and each pathogen is drawn with the same fractions. Exception: a split without any patient
of a pathogen gets the nearest one (a handful of patients, in small sets).
"""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from core.ingest.catalog.splits import SplitPatient

Split = Literal["train", "val", "test"]
_NEAREST = 3  # candidates from each other split that are kept for a split that may stay empty


def unit_hash(seed: int, key: str) -> float:
    """Returns the first 53 bits of SHA-256 of seed and key as a number in [0, 1)."""
    digest = hashlib.sha256(f"{seed}:{key}".encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def intervals(val: float, test: float) -> dict[Split, tuple[float, float]]:
    """Returns split -> its part [low, high) of the unit interval; empty splits are left out."""
    bounds: dict[Split, tuple[float, float]] = {
        "test": (0.0, test),
        "val": (test, test + val),
        "train": (test + val, 1.0),
    }
    return {split: (low, high) for split, (low, high) in bounds.items() if high > low}


def draw_splits(
    patients: Callable[[], Iterable[SplitPatient]], seed: int, val: float, test: float
) -> Iterator[tuple[str, Split]]:
    """Yields (key, split) for every patient, in the order of `patients`.

    Args:
      patients: returns the patients; called twice, so that none has to be kept in memory.
      seed: of the draw.
      val: fraction of patients for val.
      test: fraction of patients for test; 0 draws train and val only.
    """
    moved = _corrections(patients(), seed, val, test)
    bounds = intervals(val, test)
    for patient in patients():
        split = (
            patient.fixed_split
            or moved.get(patient.key)
            or _by_hash(unit_hash(seed, patient.key), bounds)
        )
        yield patient.key, split  # type: ignore[misc]


def _by_hash(u: float, bounds: dict[Split, tuple[float, float]]) -> Split:
    return next((split for split, (low, high) in bounds.items() if low <= u < high), "train")


def _corrections(
    patients: Iterable[SplitPatient], seed: int, val: float, test: float
) -> dict[str, Split]:
    """Returns the patients to move because a split has none of their pathogen, with that split."""
    bounds = intervals(val, test)
    count: dict[str, Counter[str]] = defaultdict(Counter)
    near: dict[tuple[str, Split], list[tuple[float, str, str]]] = defaultdict(list)
    for patient in patients:
        u = unit_hash(seed, patient.key)
        home = patient.fixed_split or _by_hash(u, bounds)
        count[patient.pathogen][home] += 1
        if patient.fixed_split:
            continue
        for split, (low, high) in bounds.items():
            if split != home:
                distance = max(low - u, u - high, 0.0)
                candidates = near[patient.pathogen, split]
                candidates.append((distance, patient.key, home))
                if len(candidates) > 4 * _NEAREST:
                    near[patient.pathogen, split] = _prune(candidates)
    moved: dict[str, Split] = {}
    for pathogen, counts in sorted(count.items()):
        if sum(counts.values()) < len(bounds):
            continue
        for split in bounds:
            if counts[split]:
                continue
            for _, key, home in sorted(near[pathogen, split]):
                if counts[home] > 1 and key not in moved:
                    moved[key] = split
                    counts[home] -= 1
                    counts[split] += 1
                    break
    return moved


def _prune(candidates: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Keeps the nearest candidates of each home, so that no home is crowded out."""
    kept: list[tuple[float, str, str]] = []
    for home in {candidate[2] for candidate in candidates}:
        kept += heapq.nsmallest(_NEAREST, (c for c in candidates if c[2] == home))
    return kept
