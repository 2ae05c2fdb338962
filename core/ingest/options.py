"""Options of ingest."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from core.images.rules import MIN_SIDE
from core.ingest.names.folding import fold_label
from schema import labels
from schema.options import Options, check_text_keys

Layout = Literal["auto", "split_class", "class", "manifest", "rsna"]
Secondary = Literal["radiographs", "accept", "refuse"]
Policy = Literal["auto", "given", "patient", "given_patient_val"]

DEFAULT_CLASSES: Final = {
    "normal": labels.NORMAL,
    "pneumonia": labels.UNKNOWN,  # refined by the file name
    "bacteria": labels.BACTERIA,
    "virus": labels.VIRUS,
}

PILLOW_LIMIT: Final = 178_956_970  # Pillow opens no image with more pixels

Fraction = Annotated[float, Field(ge=0, lt=1)]


def _pixels(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class IngestOptions(Options):
    """Options of `pneumo ingest` and of `data.ingest` in a configuration.

    Attributes:
      layout: where the classes come from. `split_class`: train/NORMAL/x.jpeg; `class`:
        NORMAL/x.jpeg; `manifest`: the CSV of `manifest`; `rsna`: the folder of the RSNA Pneumonia
        Detection Challenge with its two tables; `auto`: detected.
      class_map: more folder names (any case) -> pathogen. NORMAL, PNEUMONIA, BACTERIA and VIRUS are
        known. `unknown` is pneumonia whose pathogen may be part of the file name.
      manifest: CSV with the columns path (relative to the source), label, and optionally patient
        and split. The column of patients may be named patient_id, PatientID or subject_id too. A
        placeholder such as nan or unknown is no patient.
      source_column: column of the manifest that becomes the `source` of the records (a hospital, a
        scanner, a year), for `evaluation.shifted_validation`; none: the column `source` if there is
        one, otherwise the batch in the file name.
      boxes: CSV of opacities, one per row: filename (or path, or patientId) and xmin, ymin, xmax,
        ymax (max exclusive) or x, y, width, height, in pixels of the displayed image; for a DICOM
        file in its Rows and Columns. Tables of the RSNA layout and of phantoms are detected.
      patient_salt: a secret that is part of the patient keys of DICOM files (SHA-256 of salt and
        PatientID). Without one, a guessed id can be confirmed. It is never written to disk: give
        the same one again to get the same keys.
      dicom_secondary: DICOM files of class Secondary Capture or modality OT, SC or none:
        `radiographs` accepts those with the modality of a radiograph, `accept` all, `refuse` none.
      dicom_names: `auto`: a DICOM file whose path contains the patient's name, id or date of birth,
        according to its tags, gets a digest as its name; `keep`: every name is kept.
      split: `given`: as in the folders or the manifest; `patient`: drawn by patient;
        `given_patient_val`: train and test as given, val split off from train by patient; `auto`:
        given_patient_val if the source has train and test, otherwise patient, but `given` for a
        manifest with train, val and test.
      val_fraction: fraction of the patients (of train, for given_patient_val) in val.
      test_fraction: fraction of the patients in test (policy patient).
      seed: of the split and of the order of the records.
      on_leak: `report` reports leaks between splits; `fail` stops the run too.
      max_pixels: an image with more pixels is rejected before it is decoded.
      min_side: an image with a shorter side, in pixels, is rejected.
      images_per_shard: maximum number of records in one TFRecord file.
      near_duplicate_distance: the perceptual hashes of near-duplicates differ in at most this many
        bits of 256; see core/ingest/splits/near_duplicates.py for the choice of 24.
    """

    layout: Layout = "auto"
    class_map: dict[str, str] = Field(default_factory=dict)
    manifest: Path | None = None
    source_column: str | None = None
    boxes: Path | None = None
    patient_salt: SecretStr = SecretStr("")
    dicom_secondary: Secondary = "radiographs"
    dicom_names: Literal["auto", "keep"] = "auto"
    split: Policy = "auto"
    val_fraction: Fraction = 0.15
    test_fraction: Fraction = 0.15
    seed: int = 0
    on_leak: Literal["report", "fail"] = "report"
    max_pixels: Annotated[int, BeforeValidator(_pixels), Field(ge=1, le=PILLOW_LIMIT)] = 100_000_000
    min_side: int = Field(default=MIN_SIDE, ge=1)
    images_per_shard: int = Field(default=512, ge=1)
    near_duplicate_distance: int = Field(default=24, ge=0, le=64)

    @field_validator("patient_salt")
    @classmethod
    def _not_masked(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not text.strip("*"):
            raise ValueError("patient_salt is masked in this file; give the salt again")
        return value

    @field_validator("class_map", mode="before")
    @classmethod
    def _text_keys(cls, value: object) -> object:
        return check_text_keys(value)

    @field_validator("class_map")
    @classmethod
    def _known_pathogens(cls, value: dict[str, str]) -> dict[str, str]:
        for folder, pathogen in value.items():
            if pathogen not in labels.PATHOGENS:
                raise ValueError(
                    f"class_map: {folder} -> {pathogen!r}; use one of {', '.join(labels.PATHOGENS)}"
                )
        folded: dict[str, str] = {}
        for folder, pathogen in value.items():
            if folded.setdefault(fold_label(folder.strip("/")), pathogen) != pathogen:
                raise ValueError(f"class_map: {folder!r} is named twice; remove one")
        return folded

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.layout == "manifest" and self.manifest is None:
            raise ValueError("layout manifest needs the path of a CSV in the option manifest")
        if self.source_column is not None and self.manifest is None:
            raise ValueError("source_column names a column of a manifest; set manifest to a CSV")
        if self.manifest is not None and self.layout not in ("auto", "manifest"):
            raise ValueError(f"layout can't be {self.layout} with a manifest; use auto or manifest")
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                "val_fraction + test_fraction must be below 1, to leave patients for train"
            )
        return self

    def classes(self) -> dict[str, str]:
        """Returns folded folder name -> pathogen, of the known folders and of class_map."""
        return {**DEFAULT_CLASSES, **self.class_map}
