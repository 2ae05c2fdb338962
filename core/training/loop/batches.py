"""Batches for training: an order that depends on seed and epoch alone, as tf.data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

_CACHED: Final = 2**26  # most numbers of validation that are kept in memory

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class LabeledRows:
    """Images that training may use, as rows of arrays.

    Attributes:
      views: view -> [n, ...], any type, may be memory-mapped; view 0 is the image itself.
      targets: float32 [n, classes].
      weights: float32 [n], in the loss.
      rows: int64 [m], the rows that belong to the task.
    """

    views: tuple[np.ndarray, ...]
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Yields each image once, in random order, with one random view.

        The order depends on `seed` and `epoch` alone, so a resumed run sees the same batches.
        """
        order, view = self.draw(seed, epoch)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            x = self.gather(chosen, view[start : start + batch_size])
            yield x, self.targets[chosen], self.weights[chosen]

    def draw(self, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of an epoch in their order, int64 [m], and the view of each."""
        rng = np.random.default_rng((seed, epoch))
        order = self.rows[rng.permutation(len(self.rows))]
        return order, rng.integers(0, len(self.views), len(order))

    def gather(self, rows: np.ndarray, view: np.ndarray) -> np.ndarray:
        """Returns rows of the chosen views, in the type of the store."""
        out = np.empty((len(rows), *self.views[0].shape[1:]), self.views[0].dtype)
        for number in np.unique(view):
            at = np.flatnonzero(view == number)
            out[at] = self.views[number][rows[at]]
        return out

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yields each image itself, in order."""
        for start in range(0, len(self.rows), batch_size):
            chosen = self.rows[start : start + batch_size]
            yield self.views[0][chosen], self.targets[chosen], self.weights[chosen]


@dataclass(frozen=True)
class TrainingData:
    """What one phase trains on. Batches are (x [n, ...], targets [n, ...], weights [n]).

    Attributes:
      epochs: (first, end) -> the batches of the epochs from `first` up to, not including, `end`.
      images: of an epoch.
      batch_size: images of a batch; the last batch of an epoch may be smaller.
      validation: every validation image once.
    """

    epochs: "Callable[[int, int], tf.data.Dataset]"
    images: int
    batch_size: int
    validation: "tf.data.Dataset"

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.images // self.batch_size)


def data_from_generators(
    train: Callable[[int], Iterator[tuple[Any, ...]]],
    images: int,
    batch_size: int,
    validation: Callable[[], Iterator[tuple[Any, ...]]],
    validation_steps: int,
    signature: "tuple[tf.TensorSpec, ...]",
) -> TrainingData:
    """Makes datasets of generators.

    Args:
      train: epoch, counted from 0 -> its batches.
      images: of an epoch.
      batch_size: images of a batch.
      validation: -> the batches of validation.
      validation_steps: how many these are.
      signature: of a batch.
    """
    import tensorflow as tf

    def epochs(first: int, end: int) -> "tf.data.Dataset":
        def batches() -> Iterator[tuple[Any, ...]]:
            for epoch in range(first, end):
                yield from train(epoch)

        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)

    judged = tf.data.Dataset.from_generator(validation, output_signature=signature)
    counted = judged.apply(tf.data.experimental.assert_cardinality(validation_steps))
    return TrainingData(epochs, images, batch_size, counted.prefetch(2))


def data_from_rows(
    train: LabeledRows, val: LabeledRows, seed: int, batch_size: int
) -> TrainingData:
    """Batches of arrays; those of validation are larger where the images are small."""
    import tensorflow as tf

    first = train.views[0]
    values = int(np.prod(first.shape[1:]))
    val_batch = max(batch_size, min(1024, 2**22 // max(1, values)))
    data = data_from_generators(
        lambda epoch: train.epoch(seed, epoch, batch_size),
        len(train),
        batch_size,
        lambda: val.in_order(val_batch),
        -(-len(val) // val_batch),
        (
            tf.TensorSpec([None, *first.shape[1:]], first.dtype),
            tf.TensorSpec([None, *train.targets.shape[1:]], tf.float32),
            tf.TensorSpec([None], tf.float32),
        ),
    )
    if len(val) * values > _CACHED:
        return data
    # Starting a generator takes longer than validating a head.
    return replace(data, validation=data.validation.cache())
