"""Boxes of opacities: read from a CSV, given to their images, made relative. None is lost.

Every box of the table ends as written or as rejected with a reason, as the files do.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from core.ingest.catalog import Catalog, shown
from core.ingest.source.tables import read_rows
from schema.errors import PneumoError

PHANTOM_TABLE: Final = "boxes.csv"
_NAMES: Final = ("filename", "path", "patientid", "file", "image")
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
_SIZES: Final = ("x", "y", "width", "height")
# Reason -> what it means; a box of an image that was rejected is counted with the last.
NO_NUMBER: Final = "box_no_number"
NO_IMAGE: Final = "box_no_image"
AMBIGUOUS: Final = "box_ambiguous"
EMPTY: Final = "box_empty"
OUTSIDE: Final = "box_outside"
DUPLICATE: Final = "box_duplicate"
OF_REJECTED: Final = "box_of_rejected_image"


def read_boxes(catalog: Catalog, path: Path) -> None:
    """Takes in the boxes of a CSV; see IngestOptions.boxes. Rows without numbers name no box.

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
    """Takes in the box of one row, if there is one."""
    name = next((cells[key] for key in _NAMES if cells.get(key)), "")
    keys = _CORNERS if _CORNERS[0] in cells else _SIZES
    texts = [cells.get(key, "") for key in keys]
    if not any(texts):
        return
    box: tuple[float | None, ...]
    try:
        a, b, c, d = map(float, texts)
        box = (a, b, c, d) if keys is _CORNERS else (a, b, a + c, b + d)
        reason = "" if all(map(math.isfinite, box)) else NO_NUMBER
    except ValueError:
        reason = NO_NUMBER
    if reason:
        box = (None,) * 4
    catalog.db.execute(
        "INSERT INTO boxes(name, line, x0, y0, x1, y1, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (shown(name.replace("\\", "/")), line, *box, reason),
    )


def place_boxes(catalog: Catalog) -> None:
    """Finds the image of each box: by path, by the end of a path, each with suffix or without."""
    db = catalog.db
    db.execute("CREATE INDEX boxes_file ON boxes(file)")
    if not db.execute("SELECT 1 FROM boxes LIMIT 1").fetchone():
        return  # nothing to find; the keys of all files would cost more than the rest of the plan
    db.execute("CREATE TEMP TABLE keys(level INTEGER, key TEXT, file INTEGER)")
    for file_id, raw in catalog.pages("path", "state = 'todo'"):
        path = shown(raw.decode("utf-8", "surrogateescape"))
        rows = [(0, path, file_id), (1, _bare(path), file_id)]
        end = path
        while end := end.partition("/")[2]:
            rows += [(2, end, file_id), (3, _bare(end), file_id)]
        db.executemany("INSERT INTO keys VALUES (?, ?, ?)", rows)
    db.execute("CREATE INDEX keys_key ON keys(level, key)")
    for level in range(4):
        db.execute(
            "UPDATE boxes SET file = (SELECT MIN(file) FROM keys WHERE level = ? AND key = name),"
            " reason = CASE (SELECT COUNT(DISTINCT file) FROM keys WHERE level = ? AND key = name)"
            " WHEN 1 THEN '' WHEN 0 THEN '' ELSE ? END WHERE file IS NULL AND reason = ''",
            (level, level, AMBIGUOUS),
        )
    db.execute("UPDATE boxes SET reason = ? WHERE file IS NULL AND reason = ''", (NO_IMAGE,))
    db.execute("DROP TABLE keys")


def _bare(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem else name}"


def settle_boxes(catalog: Catalog) -> None:
    """Clips every box to its image and makes it relative, after the images were checked."""
    db = catalog.db
    reject_boxes(catalog, "state != 'ok'")
    db.execute(
        "UPDATE boxes SET reason = ? WHERE reason = '' AND id NOT IN"
        " (SELECT MIN(id) FROM boxes WHERE reason = '' GROUP BY file, x0, y0, x1, y1)",
        (DUPLICATE,),
    )
    empty = "UPDATE boxes SET reason = ? WHERE reason = '' AND (x1 <= x0 OR y1 <= y0)"
    db.execute(empty, (EMPTY,))
    db.execute(
        "UPDATE boxes SET clipped = x0 < 0 OR y0 < 0 OR x1 > wide OR y1 > tall,"
        " x0 = MIN(MAX(x0 / wide, 0.0), 1.0), y0 = MIN(MAX(y0 / tall, 0.0), 1.0),"
        " x1 = MIN(MAX(x1 / wide, 0.0), 1.0), y1 = MIN(MAX(y1 / tall, 0.0), 1.0)"
        " FROM files WHERE files.id = file AND reason = ''"
    )
    db.execute(empty, (OUTSIDE,))


def reject_boxes(catalog: Catalog, where: str, *values: object) -> None:
    """Rejects the boxes of the files with a condition."""
    catalog.db.execute(
        "UPDATE boxes SET reason = ? WHERE reason = '' AND file IN"
        f" (SELECT id FROM files WHERE {where})",
        (OF_REJECTED, *values),
    )


def boxes_of(catalog: Catalog, file_id: int) -> list[tuple[float, float, float, float]]:
    """(ymin, xmin, ymax, xmax), relative, of one image, in the order of the table."""
    return catalog.db.execute(
        "SELECT y0, x0, y1, x1 FROM boxes WHERE file = ? AND reason = '' ORDER BY id", (file_id,)
    ).fetchall()


def box_counts(catalog: Catalog) -> dict[str, Any]:
    """How many boxes were read, written, clipped, and rejected for which reason."""
    db = catalog.db
    reasons = dict(
        db.execute(
            "SELECT reason, COUNT(*) FROM boxes WHERE reason != '' GROUP BY reason ORDER BY reason"
        )
    )
    read, kept, clipped = db.execute(
        "SELECT COUNT(*), COALESCE(SUM(reason = ''), 0),"
        " COALESCE(SUM(reason = '' AND clipped), 0) FROM boxes"
    ).fetchone()
    counts = {"read": read, "written": kept, "clipped": clipped}
    return counts | {"rejected": sum(reasons.values()), "reasons": reasons}


def rejected_boxes(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Rows of rejects.jsonl for boxes, by line of the table; `box` tells them from files."""
    for name, line, reason in catalog.db.execute(
        "SELECT COALESCE((SELECT shown FROM files WHERE files.id = file), name), line, reason"
        " FROM boxes WHERE reason != '' ORDER BY line, boxes.id"
    ):
        yield {"file": name, "reason": reason, "detail": f"line {line} of the boxes", "box": line}
