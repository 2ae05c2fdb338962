"""Folder layouts of a synthetic data set: paths, image files and tables."""

import io
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.phantom.cohort import (
    FOLDERS,
    SyntheticPatient,
    cohort,
    patients,
    relative_path,
    synthetic_id,
)
from schema.features import SPLITS
from schema.labels import NORMAL

ROOT: Final = "chest_xray"
BOXES: Final = "boxes.csv"
COMMENT: Final = b"SYNTHETIC chest radiograph drawn by PneumoTFX; not a patient"
RSNA_IMAGES: Final = "stage_2_train_images"
RSNA_LABELS: Final = "stage_2_train_labels.csv"
RSNA_CLASSES: Final = "stage_2_detailed_class_info.csv"

Boxes = tuple[tuple[int, int, int, int], ...]
Rows = list[tuple[object, ...]]


class ImageRequest(NamedTuple):
    """The k-th image (from 0) of a patient."""

    seed: int
    patient: SyntheticPatient
    k: int
    split: str
    jpeg_quality: int


class FolderLayout:
    """The layout of the pediatric set: chest_xray/{train,val,test}/{NORMAL,PNEUMONIA}.

    Attributes:
      name: name on the command line.
      size: default width of an image in pixels.
      source: folder of the data set that `pneumo ingest` reads.
      pattern: glob pattern of the image files.
      tables: file name -> columns; the first table holds the boxes.
      splits: names of the splits.
      folders: image folders of the data set.
    """

    name = "folders"
    size = 320
    source = ROOT
    pattern = "*.jpeg"
    tables: Mapping[str, tuple[str, ...]] = {
        BOXES: ("filename", "label", "xmin", "ymin", "xmax", "ymax")
    }
    splits: tuple[str, ...] = SPLITS
    folders = tuple(f"{ROOT}/{split}/{name}" for split in SPLITS for name in set(FOLDERS.values()))

    def check(self) -> None:
        """Raises PneumoError if a package that the layout needs is missing."""

    def plan(self, seed: int, n: int) -> list[tuple[SyntheticPatient, str]]:
        """Returns the patients of `n` images with their splits, in the order of the images."""
        return cohort(seed, n)

    def path(self, request: ImageRequest) -> str:
        """Returns the path of an image below the data set."""
        return f"{ROOT}/{relative_path(request.patient, request.k, request.split)}"

    def save(self, path: Path, request: ImageRequest, pixels: NDArray[np.uint8]) -> None:
        """Writes an image."""
        path.write_bytes(jpeg(pixels, request.jpeg_quality))

    def rows(self, request: ImageRequest, boxes: Boxes) -> dict[str, Rows]:
        """Returns the rows of an image in each table."""
        path = relative_path(request.patient, request.k, request.split)
        return {BOXES: [(path, request.patient.pathogen, *box) for box in boxes]}

    def is_box(self, row: Mapping[str, str]) -> bool:
        """Whether a row of the first table holds a box."""
        return bool(row["ymax"])


class RsnaLayout(FolderLayout):
    """The layout of the RSNA Pneumonia Detection Challenge, stage 2: DICOM files and two tables.

    Each patient has one image: the first one of the patient in the other layout.
    """

    name = "rsna"
    size = 1024
    source = ""
    pattern = "*.dcm"
    tables: Mapping[str, tuple[str, ...]] = {
        RSNA_LABELS: ("patientId", "x", "y", "width", "height", "Target"),
        RSNA_CLASSES: ("patientId", "class"),
    }
    splits: tuple[str, ...] = ("all",)
    folders = (RSNA_IMAGES,)

    def check(self) -> None:
        """Raises PneumoError if pydicom is missing."""
        from core.phantom.dicom_file import needs_pydicom

        needs_pydicom()

    def plan(self, seed: int, n: int) -> list[tuple[SyntheticPatient, str]]:
        """Returns `n` patients with one image each; the challenge has no splits."""
        first = islice(patients(seed), n)
        return [(SyntheticPatient(p.index, p.pathogen, p.first, 1), "all") for p in first]

    def path(self, request: ImageRequest) -> str:
        """Returns the path of an image, named after the patient id."""
        return f"{RSNA_IMAGES}/{synthetic_id(request.seed, request.patient)}.dcm"

    def save(self, path: Path, request: ImageRequest, pixels: NDArray[np.uint8]) -> None:
        """Writes an image as DICOM with JPEG compression."""
        from core.phantom.dicom_file import to_dicom

        content = jpeg(pixels, request.jpeg_quality)
        rows, columns = pixels.shape
        path.write_bytes(to_dicom(content, rows, columns, request.seed, request.patient, request.k))

    def rows(self, request: ImageRequest, boxes: Boxes) -> dict[str, Rows]:
        """Returns one row for each box in both tables; an image without boxes has one row."""
        name = synthetic_id(request.seed, request.patient)
        if not boxes:
            healthy = request.patient.pathogen == NORMAL
            finding = "Normal" if healthy else "No Lung Opacity / Not Normal"
            return {RSNA_LABELS: [(name, "", "", "", "", 0)], RSNA_CLASSES: [(name, finding)]}
        corners = [
            (float(x0), float(y0), float(x1 - x0), float(y1 - y0), 1) for x0, y0, x1, y1 in boxes
        ]
        return {
            RSNA_LABELS: [(name, *corner) for corner in corners],
            RSNA_CLASSES: [(name, "Lung Opacity") for _ in boxes],
        }

    def is_box(self, row: Mapping[str, str]) -> bool:
        """Whether a row of the first table holds a box."""
        return row["Target"] == "1"


LAYOUTS: Final[dict[str, FolderLayout]] = {
    layout.name: layout for layout in (FolderLayout(), RsnaLayout())
}


def jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Encodes a gray image as JPEG, with a comment that it is synthetic."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, comment=COMMENT)
    return out.getvalue()
