"""Activations of the backbone at the levels of the detector, on disk and as rows of a batch."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.store import ArrayWriter, open_array
from core.progress import ProgressReporter

if TYPE_CHECKING:
    import keras

BATCH = 32


class FlattenedLevels:
    """Several arrays with the same rows, read as one: each row flattened and put end to end.

    The training loop handles one array, which the model splits again (`split_levels`). Rows are
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


def split_levels(packed: "keras.KerasTensor", shapes: Sequence[tuple[int, ...]]) -> "list[Any]":
    """Rows of a `FlattenedLevels` -> its arrays; while a Keras model is being built."""
    import keras

    found, start = [], 0
    for shape in shapes:
        end = start + int(np.prod(shape))
        found.append(keras.layers.Reshape(shape)(packed[:, start:end]))
        start = end
    return found


def above_maps(
    above: "keras.Model", maps: Sequence[np.ndarray], folder: Path, what: str
) -> list[FlattenedLevels]:
    """Runs the backbone above the first level once over stored maps, for every seed and epoch.

    Args:
      above: activation at the first level -> list of activations at the others.
      maps: view -> [n, h, w, c], memory-mapped.
      folder: where files go; in the type of the maps.
      what: name of the split, for files and the progress line.

    Returns:
      view -> the maps with all that lies above.
    """
    import tensorflow as tf

    spec = [tf.TensorSpec([None, *maps[0].shape[1:]], tf.float32)]
    run = tf.function(
        lambda x: [tf.cast(y, tf.float32) for y in _listed(above(x, training=False))],
        input_signature=spec,
        autograph=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    found, step = [], ProgressReporter()
    for view, of_view in enumerate(maps):
        files = [folder / f"{what}-{view}-{i}.npy" for i in range(len(above.outputs))]
        with contextlib.ExitStack() as stack:
            writers = [stack.enter_context(ArrayWriter(file, of_view.dtype.name)) for file in files]
            for start in range(0, len(of_view), BATCH):
                part = np.asarray(of_view[start : start + BATCH], np.float32)
                for writer, made in zip(writers, run(part), strict=True):
                    writer.add(made.numpy())
                done = min(start + BATCH, len(of_view))
                step(f"levels of {what}, view {view}", done, len(of_view))
        found.append(FlattenedLevels([of_view, *(open_array(file) for file in files)]))
    return found


def channel_moments(maps: np.ndarray, images: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel over places of some images, float32 [channels] each.

    A channel that never changes gets 1.
    """
    total = np.zeros(maps.shape[-1])
    squares = np.zeros_like(total)
    chosen = np.unique(np.linspace(0, len(maps) - 1, min(images, len(maps))).astype(int))
    for start in range(0, len(chosen), BATCH):
        part = np.asarray(maps[chosen[start : start + BATCH]], np.float64)
        total += part.mean(axis=(1, 2)).sum(axis=0)
        squares += (part**2).mean(axis=(1, 2)).sum(axis=0)
    mean = total / len(chosen)
    deviation = np.sqrt(np.maximum(squares / len(chosen) - mean**2, 0))
    deviation[deviation <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found]
