"""Detects images that cannot be chest X-rays: blank, masks, color photographs, inverted.

`content_tf` computes the same in the SavedModel. A few percent of other pixels, such as a side
marker, a hot pixel or the artifacts of a JPEG around the edges of a mask, do not change a result.

Margins on 5,232 pediatric chest X-rays (Kermany et al., 2018): at most 56 % of the pixels have gray
values within a band of 16; at least 76 values are needed for 95 % of the pixels; no pixel has a
color; 99.4 % of the images are found if they are inverted, and none if they are not.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.rules import BLANK, COLOR_PHOTO, FEW_GRAY_VALUES, INVERTED, LOW_CONTRAST

SAMPLED_SIDE: Final = 256  # pixels; the checks use about as many rows or columns of an image
BAND: Final = 16  # adjacent gray values
FEW_VALUES: Final = 12
# Percent of the pixels.
BLANK_SHARE: Final = 99  # with one gray value
BAND_SHARE: Final = 90  # with values within one band
FEW_SHARE: Final = 95  # with the most frequent values
COLOR_SHARE: Final = 10  # with a color
CHROMA: Final = 48  # largest minus smallest of R, G and B; a tinted film has less
# Gray values of an inverted image.
BRIGHT_SIDES: Final = 128  # mean of the left and right edge, at least
DARK_SPINE: Final = 40  # that the spine is darker than the sides


def content_problem(gray: NDArray[np.uint8], rgb: NDArray[np.uint8] | None = None) -> str:
    """Checks the pixels of an image.

    Args:
      gray: uint8 [height, width], as displayed.
      rgb: uint8 [height, width, 3] if the file has colors.

    Returns:
      One of `rules.CONTENT_STATUSES`; "" for an image that can be a radiograph.
    """
    gray = sampled(gray)
    problem = gray_values_problem(np.bincount(gray.ravel(), minlength=256))
    if not problem and rgb is not None and is_colored(sampled(rgb)):
        problem = COLOR_PHOTO
    return problem or (INVERTED if is_inverted(gray) else "")


def sampled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns every n-th row and column, so that the checks cost the same for all sizes."""
    step = max(1, min(pixels.shape[:2]) // SAMPLED_SIDE)
    return pixels[::step, ::step]


def gray_values_problem(counts: NDArray[Any]) -> str:
    """Checks the number of pixels per gray value.

    Args:
      counts: integers [256], not all zero.

    Returns:
      `rules.BLANK`: one gray value; `rules.LOW_CONTRAST`: a nearly empty gray range;
      `rules.FEW_GRAY_VALUES`: a mask or a drawing; "" for all other images.
    """
    total = counts.sum()
    below = np.concatenate([[0], np.cumsum(counts)])
    frequent = np.cumsum(np.sort(counts)[::-1])
    if frequent[0] * 100 >= BLANK_SHARE * total:
        return BLANK
    if (below[BAND:] - below[:-BAND]).max() * 100 >= BAND_SHARE * total:
        return LOW_CONTRAST
    return FEW_GRAY_VALUES if frequent[FEW_VALUES - 1] * 100 >= FEW_SHARE * total else ""


def is_colored(rgb: NDArray[np.uint8]) -> bool:
    """Returns whether so many pixels have a color that the image is no radiograph.

    Args:
      rgb: uint8 [height, width, 3].
    """
    chroma = rgb.max(axis=-1) - rgb.min(axis=-1)
    return bool((chroma > CHROMA).sum() * 100 >= COLOR_SHARE * chroma.size)


def is_inverted(gray: NDArray[np.uint8]) -> bool:
    """Returns whether the sides are bright, and the spine is darker than sides and lungs.

    Args:
      gray: uint8 [height, width], an upright frontal chest X-ray that fills the image.
    """
    spine, sides, lungs = (
        np.concatenate(
            [gray[top:bottom, left:right].ravel() for top, bottom, left, right in parts]
        ).mean()
        for parts in regions(*gray.shape)
    )
    return bool(sides >= BRIGHT_SIDES and spine < min(sides - DARK_SPINE, lungs))


def regions(height: Any, width: Any) -> tuple[list[tuple[Any, Any, Any, Any]], ...]:
    """Returns spine, sides and lungs, each as rectangles (top, bottom, left, right) in pixels.

    Args:
      height: of the image, an integer or an integer tensor.
      width: likewise.
    """
    edge = (width + 15) // 16
    third, two_thirds = height // 3, (2 * height + 2) // 3
    return (
        [(height // 2, height, width * 45 // 100, (width * 55 + 99) // 100)],
        [(0, height, 0, edge), (0, height, width - edge, width)],
        [
            (third, two_thirds, width // 6, (width * 2 + 4) // 5),
            (third, two_thirds, width * 3 // 5, (width * 5 + 5) // 6),
        ],
    )
