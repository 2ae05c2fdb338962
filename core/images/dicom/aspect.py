"""Pixels that are not square: what the file says of them, and the picture made square."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.tags import spacing
from core.images.errors import reject

# The first that is there counts. PixelAspectRatio is the vertical size by the horizontal one.
_SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
SAME: Final = 0.01  # spacings that differ by less are meant to be equal
MOST: Final = 5.0


def ratio(dataset: Any) -> float:
    """Height of a pixel by its width; 1 where the file does not tell.

    Raises:
      ImageError: one of more than 5 to 1.
    """
    pair = spacing(dataset, (*_SPACINGS, "PixelAspectRatio"))
    found = pair[0] / pair[1] if pair else 1.0
    if not 1 / MOST <= found <= MOST:
        reject("wrong_spacing", f"pixels {found:.3g} times as high as wide; at most {MOST:g} to 1")
    return 1.0 if abs(found - 1.0) < SAME else found


def squared(rows: int, columns: int, ratio: float) -> tuple[int, int]:
    """Rows and columns of the picture with square pixels: the coarser side grows."""
    return (round(rows * ratio), columns) if ratio > 1 else (rows, round(columns / ratio))


def make_square(shown: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """Resamples a picture (bilinear, along one side) so that its pixels are square.

    Args:
      shown: float64 [rows, columns].
      ratio: height of a pixel by its width.

    Returns:
      float64 [rows * ratio, columns] or [rows, columns / ratio]; the same array for ratio 1.
    """
    if ratio == 1.0:
        return shown
    from PIL import Image

    rows, columns = squared(shown.shape[0], shown.shape[1], ratio)
    image = Image.fromarray(shown.astype(np.float32), "F")
    return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR), np.float64)
