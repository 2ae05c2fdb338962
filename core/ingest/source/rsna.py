"""Reads the folder of the RSNA Pneumonia Detection Challenge: DICOM files and two tables.

Target 1 is an opacity (pathogen unknown, with boxes). The second table divides the images without
an opacity into normal ones and other findings. The patientId is the file name, an arbitrary number
of the challenge that does not identify the patient: "each patientId corresponds to a unique image"
of the NIH data set, which has several images of many patients. So the patients are not known.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.ingest.catalog.database import Catalog
from core.ingest.file_names import parse_name, printable
from core.ingest.names.folding import fold, fold_label
from core.ingest.source.boxes import add_box
from core.ingest.source.csv_tables import read_header, read_rows
from schema import labels
from schema.errors import PneumoError

_LABELS: Final = re.compile(r"(stage_?[12]_)?train_(labels|metadata)\.csv", re.IGNORECASE)
_CLASSES: Final = re.compile(r"(stage_?[12]_)?detailed_class_info\.csv", re.IGNORECASE)
_IMAGES: Final = re.compile(r"(stage_?[12]_)?train(_images)?|images", re.IGNORECASE)
_PATHOGEN: Final = {
    "normal": labels.NORMAL,
    "no lung opacity / not normal": labels.OTHER,
    "lung opacity": labels.UNKNOWN,
}
_BOX: Final = ("patientid", "x", "y", "width", "height")


@dataclass(frozen=True)
class RsnaTables:
    """Paths of the tables.

    Attributes:
      labels: patientId, x, y, width, height, Target; a row per box, or one for an image without.
      classes: patientId, class; the same file if one table has all columns.
    """

    labels: Path
    classes: Path


def find_tables(source: Path) -> RsnaTables | None:
    """Finds the tables in a source or in a folder directly below it; stage 2 before stage 1.

    Raises:
      PneumoError: there are labels, but no classes.
    """
    for folder in (str(source), *sorted(_below(source, folders=True))):
        files = [Path(p) for p in sorted(_below(folder, folders=False), reverse=True)]
        tables = [p for p in files if _LABELS.fullmatch(p.name)]
        tables = [p for p in tables if {"patientid", "target"} <= read_header(p)]
        if not tables:
            continue
        classes = [p for p in files if _CLASSES.fullmatch(p.name)]
        for path in (*classes, tables[0]):
            if {"patientid", "class"} <= read_header(path):
                return RsnaTables(tables[0], path)
        raise PneumoError(
            f"{tables[0]}: no table beside it has the classes of the images; put "
            "stage_2_detailed_class_info.csv (patientId, class) there"
        )
    return None


def _below(folder: str | Path, folders: bool) -> Iterator[str]:
    """Yields the paths of the folders directly below a folder, or of its CSV files."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir() if folders else entry.name.lower().endswith(".csv"):
                    yield entry.path
    except OSError:
        return


def label_rsna(catalog: Catalog, tables: RsnaTables) -> None:
    """Labels every file by the tables, and adds the boxes.

    Raises:
      PneumoError: a table can't be read.
    """
    for line, cells in read_rows(tables.labels, "labels"):
        patient, target = printable(cells.get("patientid", "")), fold_label(cells.get("target", ""))
        if not patient or target not in ("0", "1"):
            raise PneumoError(f"labels {tables.labels}, line {line}: no patientId, Target 0 or 1")
        catalog.rsna.add_target(patient, target)
        if target == "1":
            add_box(catalog, line, {key: cells.get(key, "") for key in _BOX})
    for _, cells in read_rows(tables.classes, "classes"):
        patient, finding = (printable(cells.get(key, "")) for key in ("patientid", "class"))
        catalog.rsna.add_finding(patient, fold(finding))
    # Two files may have the same patientId: the one in the folder of training images is preferred.
    for path, _ in catalog.files.unlabeled():
        if any(_IMAGES.fullmatch(folder) for folder in posixpath.dirname(path).split("/")):
            _label_file(catalog, path)
    for path, _ in catalog.files.unlabeled():
        _label_file(catalog, path)
    for patient in catalog.rsna.unmatched():
        catalog.files.add_missing(patient, "named by the labels, no image of that name")


def _label_file(catalog: Catalog, path: str) -> None:
    name = posixpath.splitext(posixpath.basename(path))[0]
    patient, label = printable(name), catalog.rsna.match(name)
    if label is None:
        catalog.files.skip(path, "not in the labels")
        return
    if label.matched:
        catalog.files.skip(path, "second copy")
        return
    pathogen = _PATHOGEN.get(label.finding or "")
    if pathogen is None:
        catalog.files.reject(path, "unknown_class", "the table of classes has none for it")
    elif label.contradictory or (label.target == "1") != (pathogen == labels.UNKNOWN):
        catalog.files.reject(path, "contradictory", "the two tables contradict each other")
    else:
        # The patientId is that of an image; a phantom is the only image of its patient.
        synthetic = parse_name(path).source == "synthetic"
        source = "synthetic" if synthetic else "rsna"
        catalog.files.label(path, pathogen, patient=patient, patient_known=synthetic, source=source)
