"""Decodes an image file to displayed gray pixels with Pillow.

Gives the pixels of `decode_tf`: luma of ITU-R BT.601, EXIF orientation applied, 16 bits scaled by
their depth, alpha dropped, the first frame of an animation.
"""

import io

import numpy as np
from PIL import Image

from core.images.headers.deep_png import deep_samples, is_deep_png
from core.images.headers.depth import significant_bits, to_eight_bits, used_bits
from core.images.headers.orientation import exif_orientation
from core.images.rules import LUMA, ORIENTATIONS


def decode_gray_pillow(content: bytes) -> Image.Image:
    """Decodes a file to the image that a viewer shows, in 8-bit gray.

    Raises:
      OSError: not an image, or a damaged one.
    """
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return orient(to_gray(image, content), exif_orientation(content))


def to_gray(image: Image.Image, content: bytes) -> Image.Image:
    """Converts an image of any mode to 8-bit gray; alpha is dropped, not blended.

    Args:
      image: as loaded by Pillow.
      content: the file, of which all bits of a 16-bit PNG are read.
    """
    if is_deep_png(content):
        gray = image.mode.startswith("I")  # Pillow keeps all 16 bits
        wide = np.asarray(image).astype(np.uint16) if gray else deep_samples(content)
        planes = to_eight_bits(wide, used_bits(wide, significant_bits(content)))
        return Image.fromarray(_luma(planes))
    if image.mode == "L":
        return image
    if image.mode in ("1", "LA"):
        return image.convert("L")
    return image.convert("RGB").convert("L")  # through RGB, which drops alpha


def _luma(planes: np.ndarray) -> np.ndarray:
    """Converts uint8 [height, width] or [height, width, 1 or 3] to uint8 [height, width]."""
    if planes.ndim == 2 or planes.shape[2] == 1:
        return planes.reshape(planes.shape[:2])
    total = planes.astype(np.int32) @ np.array(LUMA, np.int32)
    return ((total + 0x8000) >> 16).astype(np.uint8)


def orient(image: Image.Image, value: int) -> Image.Image:
    """Applies an EXIF orientation, 1 to 8, so that the image is upright."""
    transpose, flip_rows, flip_columns = ORIENTATIONS[value]
    for apply, method in (
        (transpose, Image.Transpose.TRANSPOSE),
        (flip_rows, Image.Transpose.FLIP_TOP_BOTTOM),
        (flip_columns, Image.Transpose.FLIP_LEFT_RIGHT),
    ):
        if apply:
            image = image.transpose(method)
    return image
