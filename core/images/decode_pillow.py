"""Decodes an image file to displayed gray pixels with Pillow.

Gives the pixels of `decode_tf`: luma of ITU-R BT.601, EXIF orientation applied, 16 bits scaled by
1/257, alpha dropped, the first frame of an animation.
"""

import io

import numpy as np
from PIL import Image

from core.images.rules import ORIENTATION_TAG, ORIENTATIONS


def decode_gray_pillow(content: bytes) -> Image.Image:
    """Decodes a file to the image that a viewer shows, in 8-bit gray.

    Raises:
      OSError: not an image, or a damaged one.
    """
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return orient(to_gray(image), orientation(image))


def to_gray(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to 8-bit gray; alpha is dropped, not blended."""
    if image.mode == "L":
        return image
    if image.mode.startswith("I"):  # 16 bits
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray(((wide * 255 + 32767) // 65535).clip(0, 255).astype(np.uint8))
    if image.mode in ("1", "LA"):
        return image.convert("L")
    return image.convert("RGB").convert("L")  # through RGB, which drops alpha


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1 if it is missing, invalid or unreadable."""
    raw = image.info.get("exif")
    if not raw:
        return 1
    try:
        exif = Image.Exif()
        exif.load(raw)
        value = int(exif.get(ORIENTATION_TAG, 1))
    except Exception:  # damaged tags do not make the pixels unusable
        return 1
    return value if value in ORIENTATIONS else 1


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
