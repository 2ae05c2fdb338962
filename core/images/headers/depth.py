"""Depth of 16-bit PNG files: how many of the 16 bits the values use.

Cameras and export tools store 10, 12 or 14 bits in 16 without scaling them, so that a reader that
takes 65,535 for white shows nearly black. `depth_tf` does the same with TensorFlow ops.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.images.headers.segments import BITS_CHUNK, find_chunk

LEAST: Final = 8  # bits
MOST: Final = 16
# Of a thousand values, so many may be greater than the depth allows: hot pixels.
OUTLIERS: Final = 1
# PNG color type -> number of channels without alpha.
CHANNELS: Final = {0: 1, 2: 3, 4: 1, 6: 3}


def significant_bits(content: bytes) -> int:
    """Returns the bits of a 16-bit PNG file by its `sBIT` chunk, 1 to 16; 0 without a valid one."""
    channels = CHANNELS.get(content[25], 1)
    body = find_chunk(content, BITS_CHUNK)
    bits = max(body[:channels], default=0)
    return bits if len(body) >= channels and bits <= MOST else 0


def used_bits(wide: NDArray[np.uint16], significant: int) -> int:
    """Returns how many bits white has, 8 to 16.

    Without `sBIT`, white is the smallest 2^n - 1 that is not below the values. With it, white has
    the bits of the chunk if the values fit; otherwise the values are scaled to 16 bits, as the
    standard wants it (PNG 3, 11.3.2.7).

    Args:
      wide: samples without alpha.
      significant: see `significant_bits`.
    """
    counts = np.bincount((wide >> 8).ravel(), minlength=256)
    # Number of values that need more than 8, 9, ..., 15 bits.
    above = [int(counts[1 << n :].sum()) for n in range(MOST - LEAST)]
    needed = LEAST + sum(1000 * count > OUTLIERS * wide.size for count in above)
    if not significant:
        return needed
    declared = max(significant, LEAST)
    return declared if needed <= declared else MOST


def to_eight_bits(wide: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    """Scales values so that 2^bits - 1 becomes 255; greater ones do too."""
    white = (1 << bits) - 1
    scaled = (wide.astype(np.int32) * 255 + white // 2) // white
    return scaled.clip(0, 255).astype(np.uint8)
