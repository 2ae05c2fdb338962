"""Where batches come from: arrays, or images whose views are new in each epoch."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from components.trainer.batches import Batch, Rows
from components.trainer.cluster import ALONE, Share
from components.trainer.loop import Source

if TYPE_CHECKING:
    import tensorflow as tf


def rows_source(
    train_rows: Rows,
    val_rows: Rows,
    seed: int,
    batch_size: int,
    share: Share = ALONE,
    stacked: int = 1,
) -> Source:
    """Batches from arrays, or a share of them; `stacked` as in `Source`."""
    import tensorflow as tf

    first = train_rows.views[0]

    def window(step: int) -> tuple[int, int]:
        images = min(batch_size, len(train_rows) - step * batch_size)
        return share.part(images).start, images

    return Source(
        epoch=lambda epoch: train_rows.epoch(seed, epoch, batch_size, share),
        steps=train_rows.steps(batch_size),
        validation=lambda: val_rows.in_order(max(stacked * batch_size, 32), share),
        x=tf.TensorSpec(first.shape[1:], first.dtype),
        window=window,
        stacked=stacked,
    )


def image_source(
    stream: "Callable[[int | None], Iterator[tuple[tf.Tensor, dict[str, Any]]]]",
    targets_and_weights: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    steps: int,
    size: int,
    window: Callable[[int], tuple[int, int]] | None = None,
    view_size: int | None = None,
) -> Source:
    """Batches of pixels, augmented anew in each epoch.

    Args:
      stream: epoch (None: validation, as it is) -> batches of (uint8 pixels, identity).
      targets_and_weights: pathogens, str [n] -> targets [n, classes], weights [n].
      steps: batches of an epoch, for the schedule.
      size: side of the images, pixels.
      window: as in `Source`; then every image of the stream has a place in the task.
      view_size: side of what is learned from; none: the same.
    """
    import tensorflow as tf

    from schema import features as f

    def batches(epoch: int | None) -> Iterator[Batch]:
        for pixels, identity in stream(epoch):
            names = np.array([name.decode() for name in identity[f.PATHOGEN].numpy().tolist()])
            targets, weights = targets_and_weights(names)
            known = targets.sum(axis=1) > 0
            if known.any() or window is not None:
                yield pixels.numpy()[known], targets[known], weights[known]

    return Source(
        epoch=batches,
        steps=steps,
        validation=lambda: batches(None),
        x=tf.TensorSpec([view_size or size, view_size or size, 1], tf.uint8),
        judged=tf.TensorSpec([size, size, 1], tf.uint8),
        window=window,
    )
