"""Writes a picture with heat map and boxes for each prediction of `explain`."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.images.overlay import font, gray_of, overlaid
from schema.files import write_bytes_atomically
from serving import NOTICE
from serving.predict.files import read_file
from serving.predict.prediction import Prediction

if TYPE_CHECKING:
    from PIL.Image import Image


def drawn(answers: Iterable[Prediction], folder: Path) -> Iterator[Prediction]:
    """Passes answers of `explain` on, and writes a picture of each that has a heat map.

    A picture appears under its name when it is complete. An answer with an error has none.

    Args:
      answers: whose `file` can be read.
      folder: where to; made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for answer in answers:
        if answer.heatmap is not None:
            picture = picture_of(read_file(Path(answer.file)), answer)
            write_bytes_atomically(folder / name_of(answer.file), picture)
        yield answer


def name_of(file: str) -> str:
    """Name of the picture of a file; another one for each path, the same in every run."""
    # A name that is not UTF-8 comes as halves of surrogate pairs.
    digest = hashlib.sha256(file.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    stem = Path(file).stem.encode("ascii", "replace").decode().replace("?", "_")[:80]
    return f"{stem}-{digest}.png"


def picture_of(content: bytes, answer: Prediction) -> bytes:
    """The image with heat, boxes and a line of text below, as PNG.

    Args:
      content: of the JPEG or PNG file.
      answer: with `heatmap`; boxes are in pixels of the displayed image.

    Raises:
      OSError: the file is no image.
    """
    from PIL import Image as Images

    base = gray_of(content)
    picture = overlaid(base, answer.heatmap, answer.boxes or [], answer.box_scores or [])
    text = f"{answer.decision}, probability {answer.score:.3f}" if answer.score is not None else ""
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
    for text in lines:  # the longest decides, so that none is cut off
        while size > 6 and draw.textlength(text, font=font(size)) > whole.width - 8:
            size -= 1
    for i, text in enumerate(lines):
        place = (4, whole.height - strip + 2 + i * strip / 2)
        draw.text(place, text, fill=(235, 235, 235), font=font(size))
