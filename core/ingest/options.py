"""What a user may decide about ingest."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from schema import labels

Layout = Literal["auto", "split_class", "class", "manifest", "rsna"]
Secondary = Literal["radiographs", "accept", "refuse"]
Policy = Literal["auto", "given", "patient", "given_patient_val"]

DEFAULT_CLASSES: Final = {
    "normal": labels.NORMAL,
    "pneumonia": labels.UNKNOWN,  # refined by the file name where it says bacteria or virus
    "bacteria": labels.BACTERIA,
    "virus": labels.VIRUS,
}

PILLOW_LIMIT: Final = 178_956_970  # Pillow itself opens nothing above this number of pixels

Fraction = Annotated[float, Field(ge=0, lt=1)]


def _pixels(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class IngestOptions(BaseModel):
    """Options of `pneumo ingest` and of `data.ingest` in a configuration.

    Attributes:
      layout: how the source tells classes. `split_class`: train/NORMAL/x.jpeg; `class`:
        NORMAL/x.jpeg; `manifest`: the CSV of `manifest`; `rsna`: the folder of the RSNA Pneumonia
        Detection Challenge with its two tables; `auto`: whichever is found.
      class_map: more folder names (any case) -> pathogen. NORMAL, PNEUMONIA, BACTERIA and VIRUS are
        known. `unknown` stands for pneumonia whose pathogen the file name may tell.
      manifest: CSV with the columns path (relative to the source), label, and optionally patient
        and split.
      boxes: CSV of opacities, one a row: filename (or path, or patientId) and xmin, ymin, xmax,
        ymax (max exclusive) or x, y, width, height, in pixels of the displayed image; of a DICOM
        file in its Rows and Columns. The table of the RSNA layout and that of a folder of phantoms
        are found without it.
      patient_salt: a secret that goes into the keys of patients of DICOM files (SHA-256 of salt and
        PatientID). Without one, who can guess an id can confirm it. It is never written down: give
        the same again to get the same keys.
      dicom_secondary: DICOM files of class Secondary Capture or modality OT, SC or none:
        `radiographs` takes those whose modality says radiograph, `accept` all, `refuse` none.
      dicom_names: `auto`: a DICOM file whose path holds the patient's name, id or date of birth as
        its tags tell them gets a digest for a name; `keep`: every name stays.
      split: `given`: as the folders (or the manifest) say; `patient`: drawn by patient;
        `given_patient_val`: train and test as given, val carved from train by patient; `auto`:
        given_patient_val where the source has train and test, otherwise patient. A manifest that
        names train, val and test is taken at its word (given).
      val_fraction: part of the patients (of train, for given_patient_val) that goes to val.
      test_fraction: part of the patients that goes to test (policy patient).
      seed: of the split and of the order of the records.
      on_leak: `report` says what leaks between splits; `fail` stops the run for it.
      max_pixels: an image of more pixels is refused before it is decoded.
      min_side: an image with a shorter side, in pixels, is refused.
      images_per_shard: records in one TFRecord file, at most.
      near_duplicate_distance: bits of 256 in which the perceptual hashes of near duplicates may
        differ; how 24 was chosen stands in core/ingest/splits/near_duplicates.py.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Layout = "auto"
    class_map: dict[str, str] = Field(default_factory=dict)
    manifest: Path | None = None
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
    min_side: int = Field(default=16, ge=1)
    images_per_shard: int = Field(default=512, ge=1)
    near_duplicate_distance: int = Field(default=24, ge=0, le=64)

    @field_validator("patient_salt")
    @classmethod
    def _not_masked(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not text.strip("*"):
            raise ValueError("patient_salt was masked where this was written down; give it again")
        return value

    @field_validator("class_map")
    @classmethod
    def _known_pathogens(cls, value: dict[str, str]) -> dict[str, str]:
        for folder, pathogen in value.items():
            if pathogen not in labels.PATHOGENS:
                raise ValueError(
                    f"class_map: {folder} -> {pathogen!r}; a folder stands for one of "
                    f"{', '.join(labels.PATHOGENS)}"
                )
        return {folder.casefold(): pathogen for folder, pathogen in value.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.layout == "manifest" and self.manifest is None:
            raise ValueError("layout manifest needs the path of a CSV in manifest")
        if self.manifest is not None and self.layout not in ("auto", "manifest"):
            raise ValueError(f"a manifest is given, so layout can't be {self.layout}")
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must leave something to train (below 1)")
        return self

    def classes(self) -> dict[str, str]:
        """Folder name, casefolded -> pathogen: the known ones and those of class_map."""
        return {**DEFAULT_CLASSES, **self.class_map}
