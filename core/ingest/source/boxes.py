"""Reads boxes of opacities from a CSV."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.ingest.catalog.database import Catalog
from core.ingest.names.matching import portable_path
from core.ingest.source.csv_tables import read_rows
from schema.errors import PneumoError

PHANTOM_TABLE: Final = "boxes.csv"
_NAMES: Final = ("filename", "path", "patientid", "file", "image")
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
_SIZES: Final = ("x", "y", "width", "height")


def read_boxes(catalog: Catalog, path: Path) -> None:
    """Adds the boxes of a CSV; see IngestOptions.boxes. Rows without numbers are not boxes.

    Raises:
      PneumoError: it can't be read, or lacks a column.
    """

    def check(columns: set[str]) -> None:
        if not columns & set(_NAMES) or not (set(_CORNERS) <= columns or set(_SIZES) <= columns):
            raise PneumoError(
                f"boxes {path}: needs the column filename (or path, or patientId) and xmin, ymin, "
                f"xmax, ymax or x, y, width, height; it has {', '.join(sorted(columns)) or 'none'}"
            )

    for line, cells in read_rows(path, "boxes", check):
        add_box(catalog, line, cells)


def add_box(catalog: Catalog, line: int, cells: Mapping[str, str]) -> None:
    """Adds the box of one row, if there is one; invalid numbers reject it."""
    name = next((cells[key] for key in _NAMES if cells.get(key)), "")
    keys = _CORNERS if _CORNERS[0] in cells else _SIZES
    texts = [cells.get(key, "") for key in keys]
    if not any(texts):
        return
    corners: tuple[float, ...] | None
    try:
        a, b, c, d = map(_number, texts)
    except ValueError:
        corners = None
    else:
        corners = (a, b, c, d) if keys is _CORNERS else (a, b, a + c, b + d)
        corners = corners if all(map(math.isfinite, corners)) else None
    catalog.boxes.add(portable_path(name), line, corners)


def _number(text: str) -> float:
    """Returns a number with a decimal point or comma.

    Raises:
      ValueError: not a number; 1,024 may be one or a thousand, so that it is none.
    """
    match = re.fullmatch(r"([+-]?\d+),(\d{1,2}|\d{4,})", text)
    return float(f"{match[1]}.{match[2]}" if match else text)
