"""A perceptual hash of 256 bits, which distinguishes chest X-rays.

DCT hash (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"): the
gray image is shrunk to 64 x 64 by area and transformed. Each of 16 x 16 low frequencies (1 to 16 in
both directions) gives one bit: whether its coefficient is above the median. The 64 bits
that are common for photographs hardly distinguish one thorax from another.
"""

from functools import cache

import numpy as np
from PIL import Image

BITS = 256
_SIZE = 64
_SIDE = 16


def perceptual_hash(gray: Image.Image) -> bytes:
    """Computes the hash of an 8-bit gray image (mode L, any size), 32 bytes."""
    small = gray.resize((_SIZE, _SIZE), Image.Resampling.BOX)
    basis = _basis()
    coefficients = basis @ np.asarray(small, np.float64) @ basis.T
    # Rounding keeps the bits of flat regions stable, where only the last digits differ from 0.
    coefficients = coefficients.round(6).ravel()
    # The median of an even number of values, without the checks of np.median, which cost more
    # than the transform.
    middle = np.partition(coefficients, (BITS // 2 - 1, BITS // 2))[BITS // 2 - 1 : BITS // 2 + 1]
    return np.packbits(coefficients > middle.mean()).tobytes()


@cache
def _basis() -> np.ndarray:
    """Frequencies 1..16 of the DCT-II, float64 [16, 64]."""
    k = np.arange(1, _SIDE + 1)[:, None]
    return np.cos(np.pi * k * (2 * np.arange(_SIZE)[None] + 1) / (2 * _SIZE))
