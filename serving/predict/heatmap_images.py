"""Writes an image with heat map and boxes for each prediction of the signature `explain`."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.images.decode_pillow import decode_gray_pillow
from core.images.overlay import draw_overlay, font
from schema.files import write_bytes_atomically
from serving import NOTICE
from serving.predict.input_files import read_file
from serving.predict.prediction import Prediction

if TYPE_CHECKING:
    from PIL.Image import Image


def with_heatmap_images(predictions: Iterable[Prediction], folder: Path) -> Iterator[Prediction]:
    """Yields predictions unchanged and writes an image for each one that has a heat map.

    Args:
      predictions: of `explain`; each `file` must be readable.
      folder: output folder; created if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for prediction in predictions:
        if prediction.heatmap is not None:
            image = heatmap_image(read_file(Path(prediction.file)), prediction)
            write_bytes_atomically(folder / image_name(prediction.file), image)
        yield prediction


def image_name(file: str) -> str:
    """Returns the name of the heat-map image of a file, unique for its path."""
    # surrogateescape, because a path need not be valid UTF-8.
    digest = hashlib.sha256(file.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    stem = Path(file).stem.encode("ascii", "replace").decode().replace("?", "_")[:80]
    return f"{stem}-{digest}.png"


def heatmap_image(content: bytes, prediction: Prediction) -> bytes:
    """Draws heat map and boxes over an image, with the decision below it.

    Args:
      content: bytes of the JPEG or PNG file.
      prediction: with `heatmap`; boxes are in pixels of the displayed image.

    Returns:
      Bytes of a PNG file.

    Raises:
      OSError: the file is not an image.
    """
    from PIL import Image as Images

    boxes, scores, heat = prediction.boxes or [], prediction.box_scores or [], prediction.heatmap
    one_cell = heat is not None and sum(map(len, heat)) == 1
    if one_cell:
        boxes, scores, heat = [], [], None
    picture = draw_overlay(decode_gray_pillow(content), heat, boxes, scores)
    text = ""
    if prediction.score is not None:
        text = f"{prediction.decision}, probability {prediction.score:.3f}"
    if one_cell:
        text += "; no heat map, because it has one cell"
    strip = max(40, picture.height // 16)
    whole = Images.new("RGB", (picture.width, picture.height + strip), "black")
    whole.paste(picture, (0, 0))
    _write_below(whole, [text, NOTICE], strip)
    out = io.BytesIO()
    whole.save(out, "PNG")
    return out.getvalue()


def _write_below(whole: "Image", lines: list[str], strip: int) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(whole)
    size = strip / 2.6
    for text in lines:  # reduces the font until the longest line fits
        while size > 6 and draw.textlength(text, font=font(size)) > whole.width - 8:
            size -= 1
    for i, text in enumerate(lines):
        place = (4, whole.height - strip + 2 + i * strip / 2)
        draw.text(place, text, fill=(235, 235, 235), font=font(size))
