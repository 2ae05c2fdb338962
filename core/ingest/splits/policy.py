"""Which patient goes to which split. Pure.

A patient's place depends on nothing but the seed and the patient's key: u = hash(seed, key) in
[0, 1); [0, test) is test, [test, test + val) is val, the rest train. So another image or another
patient never moves anyone, and each label is drawn with the same fractions. Only where a split
would have no patient at all of a label are the ones nearest to it taken in (a handful of patients,
in small sets).
"""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

Split = Literal["train", "val", "test"]
_NEAREST = 3  # candidates kept for a split that may stay empty, from each other split


class Patient(NamedTuple):
    """A patient to be placed.

    Attributes:
      key: identity.
      label: the rarest of the patient's pathogens.
      fixed: the split that is given for the patient, or "" where it is to be drawn.
    """

    key: str
    label: str
    fixed: str = ""


def unit(seed: int, key: str) -> float:
    """A number in [0, 1) that depends on seed and key alone (first 53 bits of SHA-256)."""
    digest = hashlib.sha256(f"{seed}:{key}".encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def intervals(val: float, test: float) -> dict[Split, tuple[float, float]]:
    """Split -> its part [low, high) of the unit interval; splits of no size are left out."""
    cuts: dict[Split, tuple[float, float]] = {
        "test": (0.0, test),
        "val": (test, test + val),
        "train": (test + val, 1.0),
    }
    return {split: (low, high) for split, (low, high) in cuts.items() if high > low}


def assign(
    patients: Callable[[], Iterable[Patient]], seed: int, val: float, test: float
) -> Iterator[tuple[str, Split]]:
    """Yields (key, split) for every patient, in the order given.

    Args:
      patients: gives the patients; called twice, so that none has to be kept in memory.
      seed: of the draw.
      val: fraction of patients for val.
      test: fraction of patients for test; 0 draws train and val only.
    """
    moved = _corrections(patients(), seed, val, test)
    cuts = intervals(val, test)
    for patient in patients():
        split = patient.fixed or moved.get(patient.key) or _by_hash(unit(seed, patient.key), cuts)
        yield patient.key, split  # type: ignore[misc]


def _by_hash(u: float, cuts: dict[Split, tuple[float, float]]) -> Split:
    return next((split for split, (low, high) in cuts.items() if low <= u < high), "train")


def _corrections(
    patients: Iterable[Patient], seed: int, val: float, test: float
) -> dict[str, Split]:
    """Patients who move because a split would have none of their label."""
    cuts = intervals(val, test)
    count: dict[str, Counter[str]] = defaultdict(Counter)
    near: dict[tuple[str, Split], list[tuple[float, str, str]]] = defaultdict(list)
    for patient in patients:
        u = unit(seed, patient.key)
        home = patient.fixed or _by_hash(u, cuts)
        count[patient.label][home] += 1
        if patient.fixed:
            continue
        for split, (low, high) in cuts.items():
            if split != home:
                away = max(low - u, u - high, 0.0)
                candidates = near[patient.label, split]
                candidates.append((away, patient.key, home))
                if len(candidates) > 4 * _NEAREST:
                    near[patient.label, split] = _prune(candidates)
    moved: dict[str, Split] = {}
    for label, counts in sorted(count.items()):
        if sum(counts.values()) < len(cuts):
            continue
        for split in cuts:
            if counts[split]:
                continue
            for _, key, home in sorted(near[label, split]):
                if counts[home] > 1 and key not in moved:
                    moved[key] = split
                    counts[home] -= 1
                    counts[split] += 1
                    break
    return moved


def _prune(candidates: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """The nearest of each home, so that they never all come from a split that has one to give."""
    kept: list[tuple[float, str, str]] = []
    for home in {candidate[2] for candidate in candidates}:
        kept += heapq.nsmallest(_NEAREST, (c for c in candidates if c[2] == home))
    return kept
