"""Reads the EXIF orientation of JPEG and PNG files; the one rule of all readers.

The first EXIF segment before the pixels of a JPEG file, or the first `eXIf` chunk of a PNG file,
wherever it is, decides. Its first directory is read; of several orientations the first counts.
Anything invalid means upright, as does an orientation in XMP or in a text chunk.
`orientation_tf` does the same with TensorFlow ops. Standard library only.
"""

from typing import Final, Literal

from core.images.headers.segments import find_exif
from core.images.rules import ORIENTATION_TAG, ORIENTATIONS

ENTRY: Final = 12  # bytes of a directory entry
LITTLE_ENDIAN: Final = b"II*\0"
BIG_ENDIAN: Final = b"MM\0*"
# TIFF type of an integer -> its size in bytes: BYTE, SHORT, LONG and their signed forms.
INTEGER_SIZES: Final = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}


def exif_orientation(content: bytes) -> int:
    """Returns the EXIF orientation of a file, 1 to 8; 1 if it is missing or invalid."""
    return orientation_of_tiff(find_exif(content))


def orientation_of_tiff(tiff: bytes) -> int:
    """Returns the orientation in the first directory of a TIFF structure; 1 if it is invalid."""
    order: Literal["little", "big"] = "little" if tiff.startswith(LITTLE_ENDIAN) else "big"
    if not tiff.startswith((LITTLE_ENDIAN, BIG_ENDIAN)):
        return 1

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    start = number(4, 4)
    for at in range(start + 2, start + 2 + ENTRY * number(start, 2), ENTRY):
        if at + ENTRY > len(tiff):
            break
        if number(at, 2) == ORIENTATION_TAG:
            size = INTEGER_SIZES.get(number(at + 2, 2), 0)
            value = number(at + 8, size) if number(at + 4, 4) == 1 else 1
            return value if value in ORIENTATIONS else 1
    return 1
