"""Interprets words as pixel values where BitsStored or PixelRepresentation is wrong.

A wrong number of bits or a wrong sign wraps values around: bright areas are torn, with jumps of
half the range between neighbors. The interpretation with fewer such jumps is right.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.notes import MORE_BITS, OTHER_SIGN

_LINES: Final = 512  # rows in which jumps are counted
# Evidence for the other sign: pairs per thousand that jump, and how often more than with it.
_TORN: Final = 2
_CLEARLY: Final = 4


def pixel_values(words: NDArray[Any], bits_stored: int) -> tuple[NDArray[Any], str]:
    """Returns the values of decoded words, and a note if the header is wrong.

    Bits above BitsStored are cleared, as in files with an overlay there, unless the image is torn
    without them.

    Args:
      words: signed or unsigned integers [rows, columns], as PixelRepresentation says.
      bits_stored: as the header says.
    """
    declared = cut(words, bits_stored)
    other = words.view(_opposite(words.dtype))
    half = 1 << (bits_stored - 1)
    # Pairs with black or white do not count: borders and markers jump in every interpretation.
    low = _lines(words).astype(np.int64) & (2 * half - 1)
    counted = ~np.isin(low, (0, half - 1, half, 2 * half - 1))
    counted = counted[:, 1:] & counted[:, :-1]

    def jumps(values: NDArray[Any]) -> int:
        steps = np.abs(np.diff(_lines(values).astype(np.int64), axis=1))
        return int(np.count_nonzero((steps > half) & counted))

    least = jumps(declared)
    if least and not np.array_equal(words, declared) and jumps(words) < least:
        return words, MORE_BITS
    if least > 8 and least * 1000 > _TORN * counted.size:
        values = min(cut(other, bits_stored), other, key=jumps)
        if jumps(values) * _CLEARLY < least:
            return values, OTHER_SIGN
    return declared, ""


def cut(words: NDArray[Any], bits_stored: int) -> NDArray[Any]:
    """Clears the bits above `bits_stored`; in signed words they become the sign."""
    shift = 8 * words.dtype.itemsize - bits_stored
    return (words << shift) >> shift if shift else words


def needed_bits(values: NDArray[Any], bits_stored: int) -> int:
    """Returns `bits_stored`, or more if the values need more."""
    low, high = int(values.min()), int(values.max())
    signed = max(high, -low - 1).bit_length() + 1
    return max(bits_stored, signed if low < 0 else high.bit_length())


def _lines(values: NDArray[Any]) -> NDArray[Any]:
    return values[:: max(1, len(values) // _LINES)]


def _opposite(dtype: Any) -> Any:
    return np.dtype(f"{'u' if dtype.kind == 'i' else 'i'}{dtype.itemsize}")
