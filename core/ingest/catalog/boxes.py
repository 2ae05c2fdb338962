"""Boxes of opacities. Every box of a table ends as written, or as rejected with a reason."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from core.ingest.catalog.names import HINTS, NameIndex, fits_several
from core.ingest.file_record import Box

NOT_A_NUMBER: Final = "box_no_number"
NO_IMAGE: Final = "box_no_image"
AMBIGUOUS: Final = "box_ambiguous"
EMPTY: Final = "box_empty"
OUTSIDE: Final = "box_outside"
DUPLICATE: Final = "box_duplicate"
IMAGE_REJECTED: Final = "box_of_rejected_image"


class BoxTable:
    """Boxes in pixels, matched to their files, then clipped and made relative."""

    def __init__(self, connection: sqlite3.Connection, names: NameIndex) -> None:
        self._db, self._names = connection, names

    def add(self, name: str, line: int, corners: tuple[float, ...] | None) -> None:
        """Adds a box.

        Args:
          name: of the image in the table.
          line: in the table.
          corners: x0, y0, x1, y1 in pixels; None rejects the box.
        """
        values = corners or (None,) * 4
        self._db.execute(
            "INSERT INTO boxes(name, line, x0, y0, x1, y1, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, line, *values, "" if corners else NOT_A_NUMBER),
        )

    def clear(self) -> None:
        """Removes all boxes."""
        self._db.execute("DELETE FROM boxes")

    def match_files(self, source: Path, folder: Path) -> None:
        """Finds the file of each box; a name that fits several files is ambiguous.

        Args:
          source: folder of images, without links.
          folder: of the table.
        """
        db = self._db
        db.execute("CREATE INDEX boxes_file ON boxes(file)")
        db.execute("CREATE INDEX boxes_name ON boxes(name)")
        unmatched = 0
        for (name,) in db.execute("SELECT DISTINCT name FROM boxes WHERE reason = ''").fetchall():
            paths = self._names.find(name, "labeled", source, folder)
            reason, hint = "", ""
            if not paths:
                reason, unmatched = NO_IMAGE, unmatched + 1
                near = self._names.nearest(name) if unmatched <= HINTS else ""
                hint = f"did you mean {near}?" if near else ""
            elif len(paths) > 1:
                reason, hint = AMBIGUOUS, fits_several(paths)
            path = os.fsencode(paths[0]) if paths else None
            db.execute(
                "UPDATE boxes SET file = (SELECT id FROM files WHERE path = ?), reason = ?,"
                " hint = ? WHERE reason = '' AND name = ?",
                (path, reason, hint, name),
            )

    def clip(self) -> None:
        """Clips every box to its checked image, makes it relative, and rejects empty ones."""
        db = self._db
        self._reject("state != 'usable'")
        db.execute(
            "UPDATE boxes SET reason = ? WHERE reason = '' AND id NOT IN"
            " (SELECT MIN(id) FROM boxes WHERE reason = '' GROUP BY file, x0, y0, x1, y1)",
            (DUPLICATE,),
        )
        reject_empty = "UPDATE boxes SET reason = ? WHERE reason = '' AND (x1 <= x0 OR y1 <= y0)"
        db.execute(reject_empty, (EMPTY,))
        db.execute(
            "UPDATE boxes SET"
            " clipped = x0 < 0 OR y0 < 0 OR x1 > box_width OR y1 > box_height,"
            " x0 = MIN(MAX(x0 / box_width, 0.0), 1.0), y0 = MIN(MAX(y0 / box_height, 0.0), 1.0),"
            " x1 = MIN(MAX(x1 / box_width, 0.0), 1.0), y1 = MIN(MAX(y1 / box_height, 0.0), 1.0)"
            " FROM files WHERE files.id = file AND reason = ''"
        )
        db.execute(reject_empty, (OUTSIDE,))

    def reject_file(self, path: str) -> None:
        """Rejects the boxes of a file."""
        self._reject("path = ?", os.fsencode(path))

    def _reject(self, where: str, *values: object) -> None:
        self._db.execute(
            "UPDATE boxes SET reason = ? WHERE reason = '' AND file IN"
            f" (SELECT id FROM files WHERE {where})",
            (IMAGE_REJECTED, *values),
        )

    def of_file(self, path: str) -> list[Box]:
        """Returns the boxes of a file, in the order of the table."""
        return self._db.execute(
            "SELECT y0, x0, y1, x1 FROM boxes WHERE reason = ''"
            " AND file = (SELECT id FROM files WHERE path = ?) ORDER BY id",
            (os.fsencode(path),),
        ).fetchall()

    def counts(self) -> dict[str, Any]:
        """Returns how many boxes were read, written, clipped, rejected, and for which reasons."""
        reasons = dict(
            self._db.execute(
                "SELECT reason, COUNT(*) FROM boxes WHERE reason != ''"
                " GROUP BY reason ORDER BY reason"
            )
        )
        read, kept, clipped = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(reason = ''), 0),"
            " COALESCE(SUM(reason = '' AND clipped), 0) FROM boxes"
        ).fetchone()
        counts = {"read": read, "written": kept, "clipped": clipped}
        return counts | {"rejected": sum(reasons.values()), "reasons": reasons}

    def rejects(self) -> Iterator[dict[str, Any]]:
        """Yields rows of rejects.jsonl, by line of the table; files have no field `box`."""
        for name, line, reason, hint in self._db.execute(
            "SELECT COALESCE((SELECT filename FROM files WHERE files.id = file), name), line,"
            " reason, hint FROM boxes WHERE reason != '' ORDER BY line, boxes.id"
        ):
            detail = f"line {line} of the boxes{hint and '; '}{hint}"
            yield {"file": name, "reason": reason, "detail": detail, "box": line}
