"""Resamples images whose pixels are not square."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.tags import spacing
from core.images.errors import reject

# The first one in the file is used. PixelAspectRatio is the vertical by the horizontal size.
_SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
TOLERANCE: Final = 0.01  # ratios closer to 1 are treated as 1
MAX_RATIO: Final = 5.0


def pixel_ratio(dataset: Any) -> float:
    """Returns the height of a pixel divided by its width; 1 if the file does not specify it.

    Raises:
      ImageError: the ratio is more extreme than 5 to 1.
    """
    pair = spacing(dataset, (*_SPACINGS, "PixelAspectRatio"))
    ratio = pair[0] / pair[1] if pair else 1.0
    if not 1 / MAX_RATIO <= ratio <= MAX_RATIO:
        reject(
            "wrong_spacing", f"pixels {ratio:.3g} times as high as wide; at most {MAX_RATIO:g} to 1"
        )
    return 1.0 if abs(ratio - 1.0) < TOLERANCE else ratio


def square_size(rows: int, columns: int, ratio: float) -> tuple[int, int]:
    """Returns rows and columns of the image with square pixels; the coarser side grows."""
    return (round(rows * ratio), columns) if ratio > 1 else (rows, round(columns / ratio))


def make_square(image: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """Resamples an image (bilinear, along one side) so that its pixels are square.

    Args:
      image: float64 [rows, columns].
      ratio: height of a pixel divided by its width.

    Returns:
      float64 [rows * ratio, columns] or [rows, columns / ratio]; the same array for ratio 1.
    """
    if ratio == 1.0:
        return image
    from PIL import Image

    rows, columns = square_size(image.shape[0], image.shape[1], ratio)
    pixels = Image.fromarray(image.astype(np.float32), "F")
    return np.asarray(pixels.resize((columns, rows), Image.Resampling.BILINEAR), np.float64)
