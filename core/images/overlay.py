"""Draws heat maps and boxes over a radiograph."""

import io
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

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
_SIDE: Final = 1600  # of a picture at most, pixels


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
        chosen = font(max(10, max(picture.size) // 40))
        place = (left + 2 * width, top + width)
        draw.text(place, text, fill=LINE, font=chosen, stroke_width=2, stroke_fill=(0, 0, 0))


def font(size: float) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Pillow's own font in `size` pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
