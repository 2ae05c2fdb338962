"""Radiographs with boxes over them: the marked ones solid, the predicted ones dashed."""

import io
from typing import Any

from components.report.drawing import data_uri, thumbnail

SIDE = 360  # longer side of a picture in its own units, whatever the image had
_TEXT = (30, 14)  # width and height of a score


def pictures(
    cases: dict[str, list[dict[str, Any]]], images: dict[str, bytes]
) -> dict[str, list[dict[str, Any]]]:
    """What the template draws.

    Args:
      cases: of `boxes.cases`.
      images: id -> bytes of the file.

    Returns:
      kind -> rows of `name`, `score`, `challenge`, `told` (words for who cannot see it), and where
      the image can be read `src`, `width`, `height`, `truth` and `boxes`: rectangles `x`, `y`,
      `width`, `height` in units of the picture, of boxes also `label`, `label_x` and `label_y`
      (where its text starts).
    """
    return {kind: [_picture(row, images) for row in rows] for kind, rows in cases.items()}


def _picture(row: dict[str, Any], images: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": row["filename"].rsplit("/", 1)[-1],
        "score": row["score"],
        "challenge": row["challenge"],
        "told": f"{len(row['truth'])} marked, {len(row['boxes'])} predicted"
        + (f", {sum(row['hit'])} of them on the mark" if row["boxes"] and row["truth"] else ""),
        "src": None,
    }
    small = thumbnail(images.get(row["sha256"], b""), SIDE)
    if small is None:
        return found
    width, height = _size(small)
    boxes = [_rectangle(box, width, height) for box in row["boxes"]]
    at = label_places(boxes, width, height)
    return found | {
        "src": data_uri(small, "jpeg"),
        "width": width,
        "height": height,
        "truth": [_rectangle(box, width, height) for box in row["truth"]],
        "boxes": [
            box | {"label": f"{score:.2f}", "label_x": x, "label_y": y}
            for box, score, (x, y) in zip(boxes, row["box_scores"], at, strict=True)
        ],
    }


def label_places(
    boxes: list[dict[str, float]], width: float, height: float
) -> list[tuple[float, float]]:
    """Where the scores are written: above a box, below it or inside, wherever is room first.

    Returns:
      left end of the text and its base line, for each box.
    """
    wide, tall = _TEXT
    placed: list[tuple[float, float]] = []
    for box in boxes:
        left, right = box["x"] + 3, box["x"] + box["width"] - wide
        above, below = box["y"] - 4, box["y"] + box["height"] + tall - 1
        inside = box["y"] + tall
        tries = [(left, above), (left, below), (right, above), (right, below), (left, inside)]
        free = [
            (x, y)
            for x, y in tries
            if tall <= y <= height - 2
            and all(abs(x - a) >= wide or abs(y - b) >= tall for a, b in placed)
        ]
        x, y = free[0] if free else tries[-1]
        placed.append((round(min(max(x, 2), width - wide), 1), round(y, 1)))
    return placed


def _rectangle(box: list[float], width: float, height: float) -> dict[str, float]:
    top, left, bottom, right = box
    return {
        "x": round(left * width, 1),
        "y": round(top * height, 1),
        "width": round((right - left) * width, 1),
        "height": round((bottom - top) * height, 1),
    }


def _size(picture: bytes) -> tuple[float, float]:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        scale = SIDE / max(opened.size)
        return round(opened.width * scale, 1), round(opened.height * scale, 1)
