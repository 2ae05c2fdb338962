"""What the shards hold, counted from the rows that their writers left."""

import hashlib
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Self

from components.ingest.boxes import reject_boxes
from components.ingest.catalog import Catalog, shown
from components.ingest.work import WorkFolder, atomic, json_line, read_lines
from schema import features as f
from schema.labels import PATHOGENS


@dataclass
class Written:
    """Counts of the records.

    Attributes:
      pathogens: split -> pathogen -> images.
      boxed: split -> images with boxes, and boxes.
      dicom: images that came as DICOM, and those whose patient is a hash.
      patients: split -> patients.
      content_sha256: digest over the digests of all shards.
    """

    pathogens: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    boxed: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    dicom: Counter[str] = field(default_factory=Counter)
    patients: dict[str, int] = field(default_factory=dict)
    content_sha256: str = ""

    @classmethod
    def of(cls, catalog: Catalog, work: WorkFolder, shards: list[str]) -> Self:
        """Reads the rows of all shards; writes `manifest.jsonl`, rejects what failed late."""
        found, digests = cls(), hashlib.sha256()
        catalog.db.execute(
            "CREATE TEMP TABLE there(split TEXT, patient TEXT, UNIQUE(split, patient))"
        )
        with atomic(work.out / "manifest.jsonl") as manifest:
            for name in shards:
                for row in read_lines(work.rows / f"{name}.jsonl"):
                    if "reason" in row:
                        _reject_late(catalog, row)
                    elif "index" not in row:
                        digests.update(f"{name} {row['sha256']}\n".encode())
                    else:
                        found._add(catalog, row)
                        manifest.write(json_line(row))
        counted = dict(catalog.db.execute("SELECT split, COUNT(*) FROM there GROUP BY split"))
        found.patients = {s: counted[s] for s in f.SPLITS if s in counted}
        found.content_sha256 = digests.hexdigest()
        return found

    def _add(self, catalog: Catalog, row: dict[str, Any]) -> None:
        self.pathogens[row["split"]][row["pathogen"]] += 1
        self.boxed[row["split"]].update(images=bool(row["boxes"]), boxes=row["boxes"])
        if "dicom" in row:
            hashed = row["patient_id"].startswith(("patient-", "study-"))
            self.dicom.update(written=1, hashed_patients=hashed)
        catalog.db.execute(
            "INSERT OR IGNORE INTO there VALUES (?, ?)", (row["split"], row["patient_id"])
        )

    @property
    def images(self) -> int:
        """Records of all splits."""
        return sum(sum(of.values()) for of in self.pathogens.values())

    def splits(self) -> dict[str, dict[str, int]]:
        """Split -> pathogen -> images, in the usual order."""
        return {
            s: {p: self.pathogens[s][p] for p in PATHOGENS if self.pathogens[s][p]}
            for s in f.SPLITS
            if s in self.pathogens
        }

    def boxes(self) -> dict[str, dict[str, int]]:
        """Split -> images with boxes, and boxes."""
        return {s: dict(self.boxed[s]) for s in f.SPLITS if s in self.pathogens}


def _reject_late(catalog: Catalog, row: dict[str, Any]) -> None:
    """Writes down a file that could not be written after all, and its boxes."""
    raw = os.fsencode(row["path"])
    name = catalog.db.execute("SELECT shown FROM files WHERE path = ?", (raw,)).fetchone()[0]
    hidden = name != shown(row["path"])
    catalog.reject(name if hidden else row["path"], row["reason"], row["detail"])
    reject_boxes(catalog, "path = ?", raw)
