"""Text in the pixels: the side marker and the word SYNTHETIC."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

MARK: Final = "SYNTHETIC"
_INK, _PAPER = 150, 24  # gray levels; not the brightest of the image


@cache
def _glyphs(text: str, height: int) -> NDArray[np.uint8]:
    """`text` in white on black, uint8 [height, width]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=max(6, round(height * 1.38)))
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font)
    width = max(1, round(image.width * height / image.height))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def mark_box(shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns the box of the mark in the lower right corner: (xmin, ymin, xmax, ymax).

    Args:
      shape: height and width of the image.
    """
    height, width = shape
    rows, columns = _mark(width).shape
    return max(0, width - columns), max(0, height - rows), width, height


def burn_synthetic_mark(pixels: NDArray[np.uint8]) -> None:
    """Writes SYNTHETIC into the lower right corner, in place."""
    x0, y0, x1, y1 = mark_box((pixels.shape[0], pixels.shape[1]))
    pixels[y0:y1, x0:x1] = _mark(pixels.shape[1])[: y1 - y0, : x1 - x0]


@cache
def _mark(width: int) -> NDArray[np.uint8]:
    letters = _glyphs(MARK, max(5, round(0.022 * width)))
    patch = np.pad(letters.astype(np.float32) / 255, ((2, 2), (3, 3)))
    return np.round(_PAPER + (_INK - _PAPER) * patch).astype(np.uint8)


def burn_side_marker(
    pixels: NDArray[np.uint8], text: str, at: tuple[float, float], size: float
) -> None:
    """Draws a nearly white side marker, in place.

    Args:
      pixels: uint8 [height, width].
      text: "L" or "R".
      at: its center as fractions of width and height; moved into the image.
      size: height of the letter as a fraction of the height of the image.
    """
    height, width = pixels.shape
    letter = _glyphs(text, max(5, round(size * height)))[:height, :width]
    rows, columns = letter.shape
    x = min(max(0, round(at[0] * width - columns / 2)), width - columns)
    y = min(max(0, round(at[1] * height - rows / 2)), height - rows)
    patch = pixels[y : y + rows, x : x + columns]
    alpha = letter.astype(np.float32) / 255
    patch[:] = np.round(patch * (1 - alpha) + 248 * alpha).astype(np.uint8)
