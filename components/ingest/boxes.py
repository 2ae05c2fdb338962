"""Boxes of opacities: read from a CSV, given to their images, made relative. None is lost.

Every box of the table ends as written or as rejected with a reason, as the files do.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from components.ingest.catalog import Catalog, shown
from components.ingest.tables import read_rows
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


def relative(
    box: tuple[float, float, float, float], height: float, width: float
) -> tuple[tuple[float, float, float, float] | None, str]:
    """A box in pixels -> relative and clipped to the image, or the reason why it is none.

    Args:
      box: xmin, ymin, xmax, ymax; the greater ends are exclusive.
      height: of the image, pixels.
      width: likewise.

    Returns:
      (ymin, xmin, ymax, xmax) in 0..1 and "", or None and the reason.
    """
    if not all(map(math.isfinite, box)):
        return None, NO_NUMBER
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return None, EMPTY
    left, right = (min(max(x / width, 0.0), 1.0) for x in (x0, x1))
    top, bottom = (min(max(y / height, 0.0), 1.0) for y in (y0, y1))
    if right <= left or bottom <= top:
        return None, OUTSIDE
    return (top, left, bottom, right), ""


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
    """Makes every box relative to its image, after the images were checked."""
    db = catalog.db
    reject_boxes(catalog, "state != 'ok'")
    db.execute(
        "UPDATE boxes SET reason = ? WHERE reason = '' AND id NOT IN"
        " (SELECT MIN(id) FROM boxes WHERE reason = '' GROUP BY file, x0, y0, x1, y1)",
        (DUPLICATE,),
    )
    after = 0
    while rows := db.execute(
        "SELECT boxes.id, x0, y0, x1, y1, tall, wide FROM boxes JOIN files ON files.id = file"
        " WHERE boxes.id > ? AND reason = '' ORDER BY boxes.id LIMIT 2000",
        (after,),
    ).fetchall():
        for box_id, x0, y0, x1, y1, tall, wide in rows:
            found, reason = relative((x0, y0, x1, y1), tall, wide)
            clipped = found is not None and (min(x0, y0) < 0 or x1 > wide or y1 > tall)
            top, left, bottom, right = found or (None,) * 4
            db.execute(
                "UPDATE boxes SET x0 = ?, y0 = ?, x1 = ?, y1 = ?, reason = ?, clipped = ?"
                " WHERE id = ?",
                (left, top, right, bottom, reason, clipped, box_id),
            )
        after = rows[-1][0]


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
    rejected = sum(reasons.values())
    return {
        "read": read,
        "written": kept,
        "clipped": clipped,
        "rejected": rejected,
        "reasons": reasons,
    }


def rejected_boxes(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Rows of rejects.jsonl for boxes, by line of the table; `box` tells them from files."""
    for name, line, reason in catalog.db.execute(
        "SELECT COALESCE((SELECT shown FROM files WHERE files.id = file), name), line, reason"
        " FROM boxes WHERE reason != '' ORDER BY line, boxes.id"
    ):
        yield {"file": name, "reason": reason, "detail": f"line {line} of the boxes", "box": line}
