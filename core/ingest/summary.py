"""`dataset.json`: counts and identity of a finished data set."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from schema.errors import PneumoError, one_line

FILE: Final = "dataset.json"
SYNTHETIC_MARK: Final = "SYNTHETIC.txt"


class IngestSummary(BaseModel):
    """Counts and identity of a data set; found = written + rejected + the sum of skipped.

    Attributes:
      version: of the folder format.
      synthetic: the images are phantoms, not patients.
      found: entries of the source except folders.
      written: records.
      rejected: unusable files.
      reasons: reason -> number of rejected files.
      skipped: kind of skipped file -> number.
      splits: split -> pathogen -> records.
      delivered: split of the source ("" without) -> pathogen -> numbers of labeled files `found`,
        `rejected`, and `duplicates` (written, with the pixels of another). Empty in data sets of
        older versions.
      patients: split -> number of patients; an image without a known patient counts as one.
      unknown_patients: split -> number of images without a known patient, which the search for
        leaks compares by pixels only. Empty in data sets of older versions.
      warnings: reasons to distrust the splits, one line each.
      unknown_classes: a line for each folder or label that is no class, with the number of files.
      boxes: boxes of opacities: numbers `read`, `written`, `clipped` to their image, `rejected`,
        the `reasons`, and `splits`: split -> `images` with boxes, `boxes`. Empty in data sets
        of older versions.
      dicom: DICOM files: `written`, `hashed_patients` (records with a key made of PatientID),
        `replaced_names` (files whose names identified the patient), `salted` (whether keys are),
        `notes` (code of `core.images.dicom.notes` -> files; missing without notes). Empty without
        DICOM files.
      leakage: counts of the leakage report.
      leakage_ok: whether the splits are free of leaks.
      options: of ingest, as JSON.
      seed: of the splits and of the order.
      policy: resolved split policy.
      layout: resolved layout.
      source_fingerprint: digest over path, size and modification time of all entries.
      content_sha256: digest over the digests of the shards.
      versions: package or format -> version.
      dest: the folder (not stored).
      reused: an existing data set was kept (not stored).
    """

    model_config = ConfigDict(frozen=True)

    version: int
    synthetic: bool
    found: int
    written: int
    rejected: int
    reasons: dict[str, int]
    skipped: dict[str, int]
    splits: dict[str, dict[str, int]]
    delivered: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    patients: dict[str, int]
    unknown_patients: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    unknown_classes: list[str] = Field(default_factory=list)
    boxes: dict[str, Any] = Field(default_factory=dict)
    dicom: dict[str, Any] = Field(default_factory=dict)
    leakage: dict[str, int]
    leakage_ok: bool
    options: dict[str, Any]
    seed: int
    policy: str
    layout: str
    source_fingerprint: str
    content_sha256: str
    versions: dict[str, str]
    dest: Path = Field(default=Path(), exclude=True)
    reused: bool = Field(default=False, exclude=True)

    def reconcile(self) -> None:
        """Checks that every file of the source and every box is accounted for.

        Raises:
          RuntimeError: it is not; a defect of ingest.
        """
        total = self.written + self.rejected + sum(self.skipped.values())
        if total != self.found:
            raise RuntimeError(f"{self.found} files found, but {total} accounted for")
        rows = [counts for split in self.delivered.values() for counts in split.values()]
        if rows and sum(row["found"] - row["rejected"] for row in rows) != self.written:
            raise RuntimeError(f"{self.written} records, but other counts of the files delivered")
        if self.boxes:
            written = sum(split["boxes"] for split in self.boxes["splits"].values())
            total = written + self.boxes["rejected"]
            if total != self.boxes["read"] or written != self.boxes["written"]:
                raise RuntimeError(f"{self.boxes['read']} boxes read, but {total} accounted for")


def read_summary(dest: str | Path) -> IngestSummary:
    """Reads the summary of a finished data set.

    Raises:
      PneumoError: the folder is not a finished data set.
    """
    dest = Path(dest)
    path = dest / FILE
    try:
        return IngestSummary(**{**json.loads(path.read_bytes()), "dest": dest})
    except FileNotFoundError:
        raise PneumoError(
            f"{dest} is not a data set (no {FILE}); create one with: pneumo ingest SOURCE {dest}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise PneumoError(
            f"{path} can't be read ({one_line(error)}); repeat `pneumo ingest` with --overwrite"
        ) from None
