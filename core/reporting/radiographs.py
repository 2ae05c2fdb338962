"""Radiographs on the pages: thumbnails, and pictures with boxes drawn over them as SVG."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.reporting.rendering import data_uri

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 360  # longer side of a picture with boxes, in SVG units
_LABEL = (30, 14)  # width and height of a score


def read_gray(content: bytes) -> "Image | None":
    """Decodes an image to 8-bit gray, upright; None if it is unreadable."""
    from PIL import Image

    from core.images.decode_pillow import decode_gray_pillow

    try:
        return decode_gray_pillow(content)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def jpeg(image: "Image") -> str:
    """Encodes an image as a JPEG data URI."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return data_uri(out.getvalue(), "jpeg")


def thumbnail(content: bytes, side: int = 260) -> str | None:
    """Returns a small gray JPEG as a data URI; None if the image is unreadable."""
    image = read_gray(content)
    if image is None:
        return None
    image.thumbnail((side, side))
    return jpeg(image)


def picture(
    image: "Image",
    truth: Sequence[Sequence[float]],
    boxes: Sequence[Sequence[float]],
    scores: Sequence[float],
) -> dict[str, Any]:
    """Returns what the template `boxed` draws.

    Args:
      image: made smaller if need be.
      truth: [k][4] marked boxes: ymin, xmin, ymax, xmax, relative to the image.
      boxes: [m][4] predicted boxes, likewise.
      scores: [m].

    Returns:
      `src`, `width`, `height`, `truth` and `boxes`: rectangles `x`, `y`, `width`, `height` in SVG
      units; boxes have `label`, `label_x` and `label_y` too.
    """
    image.thumbnail((SIDE, SIDE))
    scale = SIDE / max(image.size)
    width, height = round(image.width * scale, 1), round(image.height * scale, 1)
    marked, predicted = (
        [_rectangle(box, width, height) for box in rows] for rows in (truth, boxes)
    )
    places = label_positions(predicted, width, height)
    return {
        "src": jpeg(image),
        "width": width,
        "height": height,
        "truth": marked,
        "boxes": [
            box | {"label": f"{score:.2f}", "label_x": x, "label_y": y}
            for box, score, (x, y) in zip(predicted, scores, places, strict=True)
        ],
    }


def label_positions(
    boxes: Sequence[dict[str, float]], width: float, height: float
) -> list[tuple[float, float]]:
    """Places the scores above, below or inside their boxes so that they do not overlap.

    Returns:
      left end and base line of each text.
    """
    wide, tall = _LABEL
    placed: list[tuple[float, float]] = []
    for box in boxes:
        left, right = box["x"] + 3, box["x"] + box["width"] - wide
        above, below = box["y"] - 4, box["y"] + box["height"] + tall - 1
        inside = box["y"] + tall
        candidates = [(left, above), (left, below), (right, above), (right, below), (left, inside)]
        free = [
            (x, y)
            for x, y in candidates
            if tall <= y <= height - 2
            and all(abs(x - a) >= wide or abs(y - b) >= tall for a, b in placed)
        ]
        x, y = free[0] if free else candidates[-1]
        placed.append((round(min(max(x, 2), width - wide), 1), round(y, 1)))
    return placed


def _rectangle(box: Sequence[float], width: float, height: float) -> dict[str, float]:
    top, left, bottom, right = box
    return {
        "x": round(left * width, 1),
        "y": round(top * height, 1),
        "width": round((right - left) * width, 1),
        "height": round((bottom - top) * height, 1),
    }
