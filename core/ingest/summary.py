"""`dataset.json`: what a finished data set says of itself."""

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
      version: of the folder's form.
      synthetic: the images are phantoms, not patients.
      found: entries of the source, folders apart.
      written: records.
      rejected: files that could not be used.
      reasons: reason -> number of rejected files.
      skipped: name of the junk -> how many.
      splits: split -> pathogen -> records.
      patients: split -> number of patients.
      boxes: of opacities: how many were `read`, `written`, `clipped` to their image, `rejected`,
        for which `reasons`, and `splits`: split -> `images` with boxes, `boxes`. Empty in data sets
        of older versions.
      dicom: of DICOM files: `written`, `hashed_patients` (records with a key made of PatientID),
        `replaced_names` (files whose names told the patient), `salted` keys or not. Empty without.
      leakage: counts of the leakage report.
      leakage_ok: nothing leaks between the splits.
      options: of ingest, as JSON.
      seed: of the splits and of the order.
      policy: of the split that was used.
      layout: that was read.
      source_fingerprint: digest over path, size and time of change of everything in the source.
      content_sha256: digest over the digests of the shards.
      versions: of what had a part in it.
      dest: the folder (not stored).
      reused: the folder was there already and still fits (not stored).
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
    patients: dict[str, int]
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
        told = self.written + self.rejected + sum(self.skipped.values())
        if told != self.found:
            raise RuntimeError(f"{self.found} files found, but {told} accounted for")
        if self.boxes:
            written = sum(split["boxes"] for split in self.boxes["splits"].values())
            told = written + self.boxes["rejected"]
            if told != self.boxes["read"] or written != self.boxes["written"]:
                raise RuntimeError(f"{self.boxes['read']} boxes read, but {told} accounted for")


def read_summary(dest: Path) -> IngestSummary:
    """Reads the summary of a finished data set.

    Raises:
      PneumoError: the folder is no finished data set.
    """
    path = dest / FILE
    try:
        return IngestSummary(**{**json.loads(path.read_bytes()), "dest": dest})
    except FileNotFoundError:
        raise PneumoError(
            f"{dest} is no data set (no {FILE}); make one with: pneumo ingest SOURCE {dest}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise PneumoError(
            f"{path} can't be read ({one_line(error)}); ingest again with --overwrite"
        ) from None
