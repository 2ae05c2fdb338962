"""Radiographs with the model's heat over them, as the template draws them."""

import io
from typing import Any

from components.report.boxes_pictures import SIDE, _rectangle, label_places
from components.report.drawing import data_uri
from components.report.heat import Heat, Places
from serving.explained import gray_of, overlaid


def heat_pictures(
    cases: dict[str, list[dict[str, Any]]], heat: Heat | None, truth: dict[str, list[list[float]]]
) -> dict[str, list[dict[str, Any]]]:
    """What the template draws.

    Args:
      cases: kind -> rows with `sha256`, `filename`, `pathogen`, `score`.
      heat: what the model said.
      truth: id -> marked boxes, relative.

    Returns:
      kind -> rows of `name`, `pathogen`, `score`, `told` (words for who cannot see it), `src`,
      `width`, `height`, and `truth` and `boxes` as `boxes_pictures.pictures` has them. Images that
      the model was not asked about, or that cannot be read, are left out.
    """
    if heat is None:
        return {}
    drawn = {
        kind: [_picture(row, heat.places.get(row["sha256"]), truth.get(row["sha256"], []))
               for row in rows]
        for kind, rows in cases.items()
    }  # fmt: skip
    return {kind: [row for row in rows if row is not None] for kind, rows in drawn.items()}


def _picture(
    row: dict[str, Any], places: Places | None, truth: list[list[float]]
) -> dict[str, Any] | None:
    if places is None or places.heat is None:
        return None
    try:
        picture = overlaid(gray_of(places.content), places.heat, side=SIDE)
    except (OSError, ValueError):
        return None
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    scale = SIDE / max(picture.size)
    width, height = round(picture.width * scale, 1), round(picture.height * scale, 1)
    boxes = [_rectangle(box, width, height) for box in places.boxes.tolist()]
    at = label_places(boxes, width, height)
    marked = f"{len(truth)} marked, " if truth else ""
    return {
        "name": row["filename"].rsplit("/", 1)[-1],
        "pathogen": row["pathogen"],
        "score": row["score"],
        "told": f"{marked}{len(boxes)} predicted; {_where(places)}",
        "src": data_uri(out.getvalue(), "jpeg"),
        "width": width,
        "height": height,
        "truth": [_rectangle(box, width, height) for box in truth],
        "boxes": [
            box | {"label": f"{score:.2f}", "label_x": x, "label_y": y}
            for box, score, (x, y) in zip(boxes, places.scores.tolist(), at, strict=True)
        ],
    }


def _where(places: Places) -> str:
    """The hottest place in words."""
    if not places.peak[0] >= 0:
        return "no place speaks for it"
    names = ("upper", "middle", "lower"), ("left", "centre", "right")
    row, column = (
        of[min(2, int(3 * at))] for of, at in zip(names, places.peak.tolist(), strict=True)
    )
    return f"hottest at the {row} {column} of the picture"
