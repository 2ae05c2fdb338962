"""A sample of the images, as the network sees them: some with boxes, some without.

What reads boxes off heat maps is fixed on validation, and needs images once more; features and the
order of rows are all that is stored of them otherwise.
"""

from pathlib import Path
from typing import Final

import numpy as np

MOST: Final = 200  # images of each kind; records are in random order
Sample = tuple[np.ndarray, np.ndarray]  # pixels uint8 [m, s, s, 1], and rows int64 [m]
_KINDS: Final = ("marked", "plain")


class PixelSampler:
    """Collects the first images with a box, and the first without, `MOST` of each at most."""

    def __init__(self) -> None:
        self._pixels: dict[str, list[np.ndarray]] = {kind: [] for kind in _KINDS}
        self._rows: dict[str, list[int]] = {kind: [] for kind in _KINDS}
        self._seen = 0

    def add(self, pixels: np.ndarray, boxes: np.ndarray | None) -> None:
        """Looks at a batch.

        Args:
          pixels: uint8 [n, s, s, 1].
          boxes: float32 [n, k, 4], NaN after the last of an image; None: nobody has any.
        """
        has = np.zeros(len(pixels), bool)
        if boxes is not None:
            has = ~np.isnan(boxes[:, :, 0]).all(axis=1)
        for kind, of_kind in zip(_KINDS, (has, ~has), strict=True):
            for i in np.flatnonzero(of_kind)[: MOST - len(self._rows[kind])]:
                self._pixels[kind].append(np.array(pixels[i]))
                self._rows[kind].append(self._seen + int(i))
        self._seen += len(pixels)

    def write(self, folder: Path) -> None:
        """Writes what was collected; nothing of a kind that there is not."""
        for kind in _KINDS:
            if self._rows[kind]:
                pixels, rows = _files(folder, kind)
                np.save(pixels, np.stack(self._pixels[kind]))
                np.save(rows, np.array(self._rows[kind], np.int64))


def read(folder: Path) -> tuple[Sample | None, Sample | None]:
    """Images with a box, and images without: pixels (memory-mapped) and their places in the split.

    None where there are none.
    """
    found: list[Sample | None] = []
    for kind in _KINDS:
        pixels, rows = _files(folder, kind)
        found.append((np.load(pixels, mmap_mode="r"), np.load(rows)) if rows.is_file() else None)
    return found[0], found[1]


def _files(folder: Path, kind: str) -> tuple[Path, Path]:
    return folder / f"{kind}-pixels.npy", folder / f"{kind}-rows.npy"
