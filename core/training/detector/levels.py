"""Backbone activations at the levels of the detector, stored on disk."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.store import ArrayWriter, open_array
from core.models.detector.head import as_list
from core.progress import ProgressReporter

if TYPE_CHECKING:
    import keras

BATCH = 32


class FlattenedLevels:
    """Several arrays with the same rows, presented as one: rows are flattened and concatenated.

    The training loop handles one array, which the model splits again (`backbones.unpack`). Rows are
    read on access.
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = tuple(arrays)
        self.shapes = [tuple(int(side) for side in array.shape[1:]) for array in arrays]
        self.dtype = arrays[0].dtype
        self.shape = (len(arrays[0]), sum(int(np.prod(shape)) for shape in self.shapes))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        parts = [np.asarray(array[rows]) for array in self.arrays]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def store_levels(
    above: "keras.Model", maps: Sequence[np.ndarray], folder: Path, split: str
) -> list[FlattenedLevels]:
    """Computes the activations at the higher levels once, for all seeds and epochs.

    Args:
      above: activation at the first level -> list of activations at the other levels.
      maps: view -> activations at the first level, [n, h, w, c], memory-mapped.
      folder: destination; files have the dtype of the maps.
      split: name of the split, for file names and progress.

    Returns:
      view -> activations at all levels.
    """
    import tensorflow as tf

    spec = [tf.TensorSpec([None, *maps[0].shape[1:]], tf.float32)]
    run = tf.function(
        lambda x: [tf.cast(y, tf.float32) for y in as_list(above(x, training=False))],
        input_signature=spec,
        autograph=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    views, progress = [], ProgressReporter()
    for view, first_level in enumerate(maps):
        files = [folder / f"{split}-{view}-{i}.npy" for i in range(len(above.outputs))]
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(ArrayWriter(file, first_level.dtype.name)) for file in files
            ]
            for start in range(0, len(first_level), BATCH):
                batch = np.asarray(first_level[start : start + BATCH], np.float32)
                for writer, activation in zip(writers, run(batch), strict=True):
                    writer.add(activation.numpy())
                done = min(start + BATCH, len(first_level))
                progress(f"levels of {split}, view {view}", done, len(first_level))
        views.append(FlattenedLevels([first_level, *(open_array(file) for file in files)]))
    return views


def channel_moments(maps: np.ndarray, images: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each channel over the positions of some images.

    Args:
      maps: [n, h, w, channels].
      images: number of images to use, evenly spaced.

    Returns:
      Two float32 arrays [channels]; the deviation of a constant channel is 1.
    """
    total = np.zeros(maps.shape[-1])
    squares = np.zeros_like(total)
    rows = np.unique(np.linspace(0, len(maps) - 1, min(images, len(maps))).astype(int))
    for start in range(0, len(rows), BATCH):
        batch = np.asarray(maps[rows[start : start + BATCH]], np.float64)
        total += batch.mean(axis=(1, 2)).sum(axis=0)
        squares += (batch**2).mean(axis=(1, 2)).sum(axis=0)
    mean = total / len(rows)
    deviation = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0))
    deviation[deviation <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)
