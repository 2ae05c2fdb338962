"""Sample of model input images, with and without boxes.

The threshold of weak boxes is chosen on heat maps of validation images, which need pixels;
otherwise only features are stored.
"""

from pathlib import Path
from typing import Final

import numpy as np

MAX_IMAGES: Final = 200  # of each kind; records are in random order
Sample = tuple[np.ndarray, np.ndarray]  # pixels uint8 [m, s, s, 1], and rows int64 [m]
_KINDS: Final = ("marked", "plain")


class PixelSampler:
    """Collects the first images with boxes and the first without, up to `MAX_IMAGES` of each."""

    def __init__(self) -> None:
        self._pixels: dict[str, list[np.ndarray]] = {kind: [] for kind in _KINDS}
        self._rows: dict[str, list[int]] = {kind: [] for kind in _KINDS}
        self._count = 0

    def add(self, pixels: np.ndarray, boxes: np.ndarray | None) -> None:
        """Adds a batch.

        Args:
          pixels: uint8 [n, s, s, 1].
          boxes: float32 [n, k, 4], padded with NaN; None: no image has boxes.
        """
        has_boxes = np.zeros(len(pixels), bool)
        if boxes is not None:
            has_boxes = ~np.isnan(boxes[:, :, 0]).all(axis=1)
        for kind, selected in zip(_KINDS, (has_boxes, ~has_boxes), strict=True):
            for i in np.flatnonzero(selected)[: MAX_IMAGES - len(self._rows[kind])]:
                self._pixels[kind].append(np.array(pixels[i]))
                self._rows[kind].append(self._count + int(i))
        self._count += len(pixels)

    def write(self, folder: Path) -> None:
        """Writes the collected samples; skips empty kinds."""
        for kind in _KINDS:
            if self._rows[kind]:
                pixels, rows = _files(folder, kind)
                np.save(pixels, np.stack(self._pixels[kind]))
                np.save(rows, np.array(self._rows[kind], np.int64))


def read_samples(folder: Path) -> tuple[Sample | None, Sample | None]:
    """Reads the samples with and without boxes.

    Returns:
      For each: pixels (memory-mapped) and row numbers in the split; None if the sample is empty.
    """
    samples: list[Sample | None] = []
    for kind in _KINDS:
        pixels, rows = _files(folder, kind)
        samples.append((np.load(pixels, mmap_mode="r"), np.load(rows)) if rows.is_file() else None)
    return samples[0], samples[1]


def _files(folder: Path, kind: str) -> tuple[Path, Path]:
    return folder / f"{kind}-pixels.npy", folder / f"{kind}-rows.npy"
