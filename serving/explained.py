"""Pictures of what a model says of places: heat and boxes drawn over the image."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from schema.files import write_bytes_atomically
from serving.answer import Prediction
from serving.files import read_file

if TYPE_CHECKING:
    from PIL import ImageFont
    from PIL.Image import Image

# Stops of the colour map "inferno" (matplotlib): equal steps look equal, in gray print too.
STOPS: Final = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]],
    np.float32,
)
STRENGTH: Final = 0.6  # opacity of the greatest heat
LINE: Final = (64, 224, 255)  # of boxes; no colour of the heat
NOTICE: Final = "Research software, not a medical device."
_SIDE: Final = 1600  # of a picture at most, pixels


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


def gray_of(content: bytes) -> "Image":
    """An image as a viewer shows it, in 8-bit gray.

    Raises:
      OSError: it is no image, or a damaged one.
    """
    from PIL import Image as Images
    from PIL import ImageOps

    with Images.open(io.BytesIO(content)) as opened:
        image: Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            image = Images.fromarray((np.asarray(image) // 257).astype(np.uint8))
        return image.convert("L")


def overlaid(
    gray: "Image",
    heat: list[list[float]] | np.ndarray | None,
    boxes: list[list[float]] | np.ndarray = (),  # type: ignore[assignment]
    scores: list[float] | np.ndarray = (),  # type: ignore[assignment]
    side: int = _SIDE,
) -> "Image":
    """Heat and boxes over an image.

    Args:
      gray: 8-bit gray.
      heat: [h][w], 0..1, over the whole image; the weaker, the more of the image is seen.
      boxes: [k][4], ymin, xmin, ymax, xmax in pixels of `gray`.
      scores: of each box, written beside it.
      side: of the result at most, pixels; a larger image is made smaller.

    Returns:
      RGB.
    """
    from PIL import Image as Images

    scale = min(1.0, side / max(gray.size))
    size = (max(1, round(gray.width * scale)), max(1, round(gray.height * scale)))
    pixels = np.asarray(gray.resize(size, Images.Resampling.BILINEAR), np.float32)[..., None]
    pixels = pixels.repeat(3, axis=-1)
    if heat is not None:
        cells = Images.fromarray(np.asarray(heat, np.float32))
        fine = np.asarray(cells.resize(size, Images.Resampling.BILINEAR)).clip(0, 1)
        opacity = STRENGTH * fine[..., None]
        pixels = (1 - opacity) * pixels + opacity * colours(fine)
    picture = Images.fromarray(pixels.round().astype(np.uint8))
    for i, box in enumerate(boxes):
        told = f"{scores[i]:.2f}" if i < len(scores) else ""
        _draw_box(picture, [scale * edge for edge in box], told)
    return picture


def colours(values: np.ndarray) -> np.ndarray:
    """0..1, float [...] -> RGB 0..255, float [..., 3]."""
    at = np.linspace(0, 1, len(STOPS))
    return np.stack([np.interp(values, at, STOPS[:, i]) for i in range(3)], axis=-1)


def _draw_box(picture: "Image", box: list[float], text: str) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    top, left, bottom, right = box
    width = max(1, max(picture.size) // 250)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    # Dark lines below the light ones: seen on bone and on lung.
    for colour, wide in (((0, 0, 0), width + 2), (LINE, width)):
        for ends in pairwise(corners):
            draw.line(ends, fill=colour, width=wide)
    if text:
        font = _font(max(10, max(picture.size) // 40))
        place = (left + 2 * width, top + width)
        draw.text(place, text, fill=LINE, font=font, stroke_width=2, stroke_fill=(0, 0, 0))


def _write_below(whole: "Image", lines: list[str], strip: int) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(whole)
    size = strip / 2.6
    for text in lines:  # the longest decides, so that none is cut off
        while size > 6 and draw.textlength(text, font=_font(size)) > whole.width - 8:
            size -= 1
    for i, text in enumerate(lines):
        place = (4, whole.height - strip + 2 + i * strip / 2)
        draw.text(place, text, fill=(235, 235, 235), font=_font(size))


def _font(size: float) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)
