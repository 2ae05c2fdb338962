"""Where the images and the tables of a data set of phantoms stand, and what a row says."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from components.phantom.plan import (
    FOLDERS,
    Patient,
    cohort,
    patients,
    relative_path,
    synthetic_id,
)
from schema.features import SPLITS
from schema.labels import NORMAL

ROOT: Final = "chest_xray"
BOXES: Final = "boxes.csv"
BOX_COLUMNS: Final = ("filename", "label", "xmin", "ymin", "xmax", "ymax")
COMMENT: Final = b"SYNTHETIC chest radiograph drawn by PneumoTFX; not a patient"

RSNA_IMAGES: Final = "stage_2_train_images"
RSNA_LABELS: Final = "stage_2_train_labels.csv"
RSNA_CLASSES: Final = "stage_2_detailed_class_info.csv"

Boxes = tuple[tuple[int, int, int, int], ...]
Rows = list[tuple[object, ...]]


class Shot(NamedTuple):
    """One image of a patient.

    Attributes:
      seed: of the data set.
      patient: whose it is.
      k: which of the patient's images, from 0.
      split: as the plan has it.
      jpeg_quality: 1 to 95.
    """

    seed: int
    patient: Patient
    k: int
    split: str
    jpeg_quality: int


class Layout(Protocol):
    """What a layout has to say.

    Attributes:
      name: of the layout, as the command line has it.
      size: width of an image in pixels, unless asked for.
      source: folder below the data set that `pneumo ingest` reads; "" is the data set.
      pattern: of the names of the images.
      tables: name of each table -> its columns; the first has the boxes.
      splits: that the plan has.
    """

    name: ClassVar[str]
    size: ClassVar[int]
    source: ClassVar[str]
    pattern: ClassVar[str]
    tables: ClassVar[Mapping[str, tuple[str, ...]]]
    splits: ClassVar[tuple[str, ...]]

    def check(self) -> None:
        """Raises PneumoError where something that it needs is not installed."""

    def plan(self, seed: int, n: int) -> list[tuple[Patient, str]]:
        """Patients and splits of `n` images, in the order of the images."""

    def folders(self) -> list[str]:
        """Folders of the images, below the data set."""

    def path(self, shot: Shot) -> str:
        """Of an image, below the data set."""

    def save(self, path: Path, shot: Shot, pixels: NDArray[np.uint8]) -> None:
        """Writes an image."""

    def rows(self, shot: Shot, boxes: Boxes) -> dict[str, Rows]:
        """What each table says of an image."""

    def boxes_in(self, row: Mapping[str, str]) -> int:
        """How many boxes a row of the first table names."""


@dataclass(frozen=True)
class Folders:
    """The well-known chest X-ray set: chest_xray/{train,val,test}/{NORMAL,PNEUMONIA}."""

    name: ClassVar[str] = "folders"
    size: ClassVar[int] = 320
    source: ClassVar[str] = ROOT
    pattern: ClassVar[str] = "*.jpeg"
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {BOXES: BOX_COLUMNS}
    splits: ClassVar[tuple[str, ...]] = SPLITS

    def check(self) -> None:
        """Needs nothing."""

    def plan(self, seed: int, n: int) -> list[tuple[Patient, str]]:
        """All images of each patient."""
        return cohort(seed, n)

    def folders(self) -> list[str]:
        """One for each split and folder of a class."""
        names = dict.fromkeys(FOLDERS.values())
        return [f"{ROOT}/{split}/{name}" for split in SPLITS for name in names]

    def path(self, shot: Shot) -> str:
        """As the well-known set names its files."""
        return f"{ROOT}/{relative_path(shot.patient, shot.k, shot.split)}"

    def save(self, path: Path, shot: Shot, pixels: NDArray[np.uint8]) -> None:
        """As JPEG."""
        path.write_bytes(jpeg(pixels, shot.jpeg_quality))

    def rows(self, shot: Shot, boxes: Boxes) -> dict[str, Rows]:
        """A row a box; an image without boxes has none."""
        path = relative_path(shot.patient, shot.k, shot.split)
        return {BOXES: [(path, shot.patient.pathogen, *box) for box in boxes]}

    def boxes_in(self, row: Mapping[str, str]) -> int:
        """One, or none where a row is torn."""
        return int(bool(row["ymax"]))


@dataclass(frozen=True)
class Rsna:
    """The RSNA Pneumonia Detection Challenge, stage 2: DICOM files and two tables.

    There a patient has one image: here too, the first of those that the other layout gives to the
    same patient, so that no patient can come into two splits.
    """

    name: ClassVar[str] = "rsna"
    size: ClassVar[int] = 1024
    source: ClassVar[str] = ""
    pattern: ClassVar[str] = "*.dcm"
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        RSNA_LABELS: ("patientId", "x", "y", "width", "height", "Target"),
        RSNA_CLASSES: ("patientId", "class"),
    }
    splits: ClassVar[tuple[str, ...]] = ("all",)

    def check(self) -> None:
        """Needs pydicom."""
        from components.phantom.radiograph import needs_pydicom

        needs_pydicom()

    def plan(self, seed: int, n: int) -> list[tuple[Patient, str]]:
        """One image of each patient; the challenge has no splits."""
        first = islice(patients(seed), n)
        return [(Patient(p.index, p.pathogen, p.first, 1), "all") for p in first]

    def folders(self) -> list[str]:
        """One."""
        return [RSNA_IMAGES]

    def path(self, shot: Shot) -> str:
        """The patient's id is the name."""
        return f"{RSNA_IMAGES}/{synthetic_id(shot.seed, shot.patient)}.dcm"

    def save(self, path: Path, shot: Shot, pixels: NDArray[np.uint8]) -> None:
        """As DICOM with JPEG inside."""
        from components.phantom.radiograph import to_dicom

        content = jpeg(pixels, shot.jpeg_quality)
        rows, columns = pixels.shape
        path.write_bytes(to_dicom(content, rows, columns, shot.seed, shot.patient, shot.k))

    def rows(self, shot: Shot, boxes: Boxes) -> dict[str, Rows]:
        """A row a box, in both tables; an image without boxes has one row."""
        name = synthetic_id(shot.seed, shot.patient)
        if not boxes:
            healthy = shot.patient.pathogen == NORMAL
            finding = "Normal" if healthy else "No Lung Opacity / Not Normal"
            return {RSNA_LABELS: [(name, "", "", "", "", 0)], RSNA_CLASSES: [(name, finding)]}
        return {
            RSNA_LABELS: [
                (name, float(x0), float(y0), float(x1 - x0), float(y1 - y0), 1)
                for x0, y0, x1, y1 in boxes
            ],
            RSNA_CLASSES: [(name, "Lung Opacity") for _ in boxes],
        }

    def boxes_in(self, row: Mapping[str, str]) -> int:
        """Where Target is 1 there is one."""
        return int(row["Target"] == "1")


LAYOUTS: Final[dict[str, Layout]] = {Folders.name: Folders(), Rsna.name: Rsna()}


def jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """A gray image as JPEG that says that it is synthetic."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, comment=COMMENT)
    return out.getvalue()
