"""A sample of the images that have boxes, as the network sees them.

What reads boxes off heat maps is fixed on validation, and needs the images once more; features and
the order of rows are all that is stored of them otherwise.
"""

from pathlib import Path
from typing import Final

import numpy as np

PIXELS: Final = "marked-pixels.npy"  # uint8 [m, s, s, 1]
ROWS: Final = "marked-rows.npy"  # int64 [m], their places in the split
MOST: Final = 200  # images; records are in random order, so the first are a fair sample


class Marked:
    """Collects the first images with a box, `MOST` at most."""

    def __init__(self) -> None:
        self._pixels: list[np.ndarray] = []
        self._rows: list[int] = []
        self._seen = 0

    def add(self, pixels: np.ndarray, boxes: np.ndarray | None) -> None:
        """Looks at a batch.

        Args:
          pixels: uint8 [n, s, s, 1].
          boxes: float32 [n, k, 4], NaN after the last of an image; None: nobody has any.
        """
        if boxes is not None and len(self._rows) < MOST:
            has = ~np.isnan(boxes[:, :, 0]).all(axis=1)
            for i in np.flatnonzero(has)[: MOST - len(self._rows)]:
                self._pixels.append(np.array(pixels[i]))
                self._rows.append(self._seen + int(i))
        self._seen += len(pixels)

    def write(self, folder: Path) -> None:
        """Writes what was collected; nothing where no image has a box."""
        if self._rows:
            np.save(folder / PIXELS, np.stack(self._pixels))
            np.save(folder / ROWS, np.array(self._rows, np.int64))


def read(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels uint8 [m, s, s, 1], memory-mapped, and rows int64 [m]; None where there are none."""
    if not (folder / ROWS).is_file():
        return None
    return np.load(folder / PIXELS, mmap_mode="r"), np.load(folder / ROWS)
