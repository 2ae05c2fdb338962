"""Draws heat maps and boxes over a radiograph."""

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from PIL import ImageFont
    from PIL.Image import Image

# Stops of the color map "inferno" (matplotlib), perceptually uniform, also when printed in gray.
STOPS: Final = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]],
    np.float32,
)
OPACITY: Final = 0.6  # of heat 1
BOX_COLOR: Final = (64, 224, 255)  # not a color of the heat map
_SIDE: Final = 1600  # longer side of a picture at most, pixels


def draw_overlay(
    gray: "Image",
    heat: list[list[float]] | np.ndarray | None,
    boxes: list[list[float]] | np.ndarray = (),  # type: ignore[assignment]
    scores: list[float] | np.ndarray = (),  # type: ignore[assignment]
    side: int = _SIDE,
) -> "Image":
    """Draws a heat map and boxes over an image.

    Args:
      gray: 8-bit gray image.
      heat: shape (h, w), 0 to 1, covering the whole image; 0 is transparent. None for no heat map.
      boxes: shape (k, 4), ymin, xmin, ymax, xmax in pixels of `gray`.
      scores: shape (k,), written beside the boxes; may be empty.
      side: longer side of the result at most, pixels; larger images are reduced.

    Returns:
      RGB image.
    """
    from PIL import Image as Images

    scale = min(1.0, side / max(gray.size))
    size = (max(1, round(gray.width * scale)), max(1, round(gray.height * scale)))
    pixels = np.asarray(gray.resize(size, Images.Resampling.BILINEAR), np.float32)[..., None]
    pixels = pixels.repeat(3, axis=-1)
    if heat is not None:
        cells = Images.fromarray(np.asarray(heat, np.float32))
        fine = np.asarray(cells.resize(size, Images.Resampling.BILINEAR)).clip(0, 1)
        opacity = OPACITY * fine[..., None]
        pixels = (1 - opacity) * pixels + opacity * inferno(fine)
    picture = Images.fromarray(pixels.round().astype(np.uint8))
    for i, box in enumerate(boxes):
        score = f"{scores[i]:.2f}" if i < len(scores) else ""
        _draw_box(picture, [scale * edge for edge in box], score)
    return picture


def inferno(values: np.ndarray) -> np.ndarray:
    """Maps values in 0 to 1, shape (...), to RGB in 0 to 255, shape (..., 3)."""
    at = np.linspace(0, 1, len(STOPS))
    return np.stack([np.interp(values, at, STOPS[:, i]) for i in range(3)], axis=-1)


def _draw_box(picture: "Image", box: list[float], text: str) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    top, left, bottom, right = box
    width = max(1, max(picture.size) // 250)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    # Dark lines below the light ones, so that both bone and lung give contrast.
    for color, line_width in (((0, 0, 0), width + 2), (BOX_COLOR, width)):
        for ends in pairwise(corners):
            draw.line(ends, fill=color, width=line_width)
    if text:
        draw.text(
            (left + 2 * width, top + width),
            text,
            fill=BOX_COLOR,
            font=font(max(10, max(picture.size) // 40)),
            stroke_width=2,
            stroke_fill=(0, 0, 0),
        )


def font(size: float) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Returns Pillow's built-in font at a size in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
