"""Runs the frozen trunk once over a split and keeps its pooled output on disk."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger("pneumo.embed")
Progress = Callable[[str, int], None]
Forward = Callable[["tf.Tensor"], "tf.Tensor"]


@dataclass(frozen=True)
class Embedded:
    """Features of one split.

    Attributes:
      features: float32 [n, channels], memory-mapped from disk.
      labels: int64 [n].
      seconds: wall time of the pass.
    """

    features: np.ndarray
    labels: np.ndarray
    seconds: float


def forward_of(model: "keras.Model") -> Forward:
    """The model as one traced function, uint8 [n, s, s, 1] -> float32 [n, channels].

    Tracing a trunk takes as long as hundreds of images: make it once and use it for every split.
    """
    import tensorflow as tf

    return tf.function(
        lambda pixels: model(tf.cast(pixels, tf.float32), training=False),
        input_signature=[tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)],
        autograph=False,
    )


def embed(
    images: "tf.data.Dataset",
    forward: Forward,
    file: Path,
    progress: Progress,
    what: str,
) -> Embedded:
    """Embeds a stream of images; memory does not grow with its length, the file does.

    Args:
      images: batches of (uint8 [n, s, s, 1], int64 [n]).
      forward: of `forward_of`.
      file: where the features go, raw float32.
      progress: called with `what` and the number of images done.
      what: name of the split, for the progress line.

    Raises:
      ValueError: the stream is empty.
    """
    labels: list[np.ndarray] = []
    start = time.monotonic()
    done, channels = 0, 0
    with file.open("wb") as out:
        for pixels, label in images:
            batch = forward(pixels).numpy().astype(np.float32)
            batch.tofile(out)
            labels.append(label.numpy())
            done, channels = done + len(batch), batch.shape[1]
            progress(what, done)
    seconds = time.monotonic() - start
    if not done:
        raise ValueError(f"split {what!r} has no labelled image; check the data and the task")
    features = np.memmap(file, np.float32, "r", shape=(done, channels))
    log.info("embedded %d images of %s in %.1f s (%.1f/s)", done, what, seconds, done / seconds)
    return Embedded(features, np.concatenate(labels), seconds)
