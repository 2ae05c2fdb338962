"""The folder of the RSNA Pneumonia Detection Challenge: DICOM files and two tables.

Target 1 is an opacity (pathogen unknown, with boxes); without one, the second table tells normal
images from those that show something else. The patientId is the name of the file, made up by the
challenge: no identity.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.ingest.catalog import Catalog
from core.ingest.naming import parse_name
from core.ingest.source.boxes import add_box
from core.ingest.source.tables import header_of, read_rows
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


@dataclass(frozen=True)
class Tables:
    """Where the tables are.

    Attributes:
      labels: patientId, x, y, width, height, Target; one row a box, one for an image without.
      classes: patientId, class; the same file where one table has all columns.
    """

    labels: Path
    classes: Path


def find_tables(source: Path) -> Tables | None:
    """The tables in a source or in a folder right below it; stage 2 before stage 1.

    Raises:
      PneumoError: there are labels, but nothing tells the classes.
    """
    for folder in (str(source), *sorted(_below(source, folders=True))):
        files = [Path(p) for p in sorted(_below(folder, folders=False), reverse=True)]
        told = [p for p in files if _LABELS.fullmatch(p.name)]
        told = [p for p in told if {"patientid", "target"} <= header_of(p)]
        if not told:
            continue
        classes = [p for p in files if _CLASSES.fullmatch(p.name)]
        for path in (*classes, told[0]):
            if {"patientid", "class"} <= header_of(path):
                return Tables(told[0], path)
        raise PneumoError(
            f"{told[0]}: no table beside it tells normal images from other findings; put "
            "stage_2_detailed_class_info.csv (patientId, class) there"
        )
    return None


def _below(folder: str | Path, folders: bool) -> Iterator[str]:
    """Paths of the folders right below a folder, or of its CSV files; the others pass by."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir() if folders else entry.name.lower().endswith(".csv"):
                    yield entry.path
    except OSError:
        return


def place_rsna(catalog: Catalog, tables: Tables) -> None:
    """Gives every file its pathogen and patient by the tables, and takes in the boxes.

    Raises:
      PneumoError: a table can't be read.
    """
    db = catalog.db
    db.execute(
        "CREATE TEMP TABLE rsna(patient TEXT PRIMARY KEY, target TEXT, class TEXT,"
        " odd INTEGER DEFAULT 0, seen INTEGER DEFAULT 0)"
    )
    for line, cells in read_rows(tables.labels, "labels"):
        patient, target = cells.get("patientid", ""), cells.get("target", "")
        if not patient or target not in ("0", "1"):
            raise PneumoError(f"labels {tables.labels}, line {line}: no patientId, Target 0 or 1")
        db.execute(
            "INSERT INTO rsna(patient, target) VALUES (?, ?) ON CONFLICT(patient) DO"
            " UPDATE SET odd = odd OR target != excluded.target",
            (patient, target),
        )
        if target == "1":
            add_box(catalog, line, {key: cells.get(key, "") for key in _BOX})
    for _, cells in read_rows(tables.classes, "classes"):
        db.execute(
            "UPDATE rsna SET odd = odd OR COALESCE(class != ?1, 0), class = ?1 WHERE patient = ?2",
            (cells.get("class", "").casefold(), cells.get("patientid", "")),
        )
    _place(catalog, first=True)
    _place(catalog, first=False)
    for (patient,) in db.execute(
        "SELECT patient FROM rsna WHERE NOT seen ORDER BY patient"
    ).fetchall():
        catalog.found += 1
        catalog.reject(patient, "missing", "named by the labels, no image of that name")


_BOX: Final = ("patientid", "x", "y", "width", "height")


def _place(catalog: Catalog, first: bool) -> None:
    """Places the files of the folder of training images, or those of all other folders."""
    after = b""
    while rows := catalog.db.execute(
        "SELECT id, path FROM files WHERE state = 'new' AND path > ? ORDER BY path LIMIT 2000",
        (after,),
    ).fetchall():
        after = rows[-1][1]
        for file_id, raw in rows:
            path = os.fsdecode(raw)
            folders = posixpath.dirname(path).split("/")
            if not first or any(_IMAGES.fullmatch(folder) for folder in folders):
                _place_file(catalog, file_id, path)


def _place_file(catalog: Catalog, file_id: int, path: str) -> None:
    patient = posixpath.splitext(posixpath.basename(path))[0]
    row = catalog.db.execute(
        "SELECT target, class, odd, seen FROM rsna WHERE patient = ?",
        (patient.encode("utf-8", "backslashreplace").decode(),),
    ).fetchone()
    if row is None:
        catalog.skip_file(file_id, "not in the labels")
        return
    target, kind, odd, seen = row
    if seen:
        catalog.skip_file(file_id, "second copy")
        return
    catalog.db.execute("UPDATE rsna SET seen = 1 WHERE patient = ?", (patient,))
    pathogen = _PATHOGEN.get(kind or "")
    if pathogen is None:
        catalog.reject_file(file_id, path, "unknown_class", "the table of classes has none for it")
    elif odd or (target == "1") != (pathogen == labels.UNKNOWN):
        catalog.reject_file(file_id, path, "contradictory", "the two tables contradict each other")
    else:
        batch = "synthetic" if parse_name(path).source == "synthetic" else "rsna"
        catalog.place(file_id, path, pathogen, patient=patient, source=batch)
