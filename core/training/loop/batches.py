"""Training batches as tf.data; their order depends on the seed and the epoch only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

_MAX_CACHED: Final = 2**26  # validation values kept in memory

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class LabeledRows:
    """Model inputs, targets and weights of the images of a split.

    Attributes:
      views: view -> [n, ...], any dtype, may be memory-mapped; view 0 is the image itself.
      targets: float32 [n, classes].
      weights: float32 [n], weight in the loss.
      rows: int64 [m], indices of the images that belong to the task.
    """

    views: tuple[np.ndarray, ...]
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Yields each image once per epoch, in random order, with one random view.

        The order depends on `seed` and `epoch` only, so a resumed run gets the same batches.
        """
        order, view = self.draw(seed, epoch)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            x = self.gather(rows, view[start : start + batch_size])
            yield x, self.targets[rows], self.weights[rows]

    def draw(self, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the shuffled rows of an epoch, int64 [m], and the view of each."""
        rng = np.random.default_rng((seed, epoch))
        order = self.rows[rng.permutation(len(self.rows))]
        return order, rng.integers(0, len(self.views), len(order))

    def gather(self, rows: np.ndarray, view: np.ndarray) -> np.ndarray:
        """Returns rows of the given views, in the stored dtype."""
        out = np.empty((len(rows), *self.views[0].shape[1:]), self.views[0].dtype)
        for number in np.unique(view):
            positions = np.flatnonzero(view == number)
            out[positions] = self.views[number][rows[positions]]
        return out

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yields the images without augmentation, in order."""
        for start in range(0, len(self.rows), batch_size):
            rows = self.rows[start : start + batch_size]
            yield self.views[0][rows], self.targets[rows], self.weights[rows]


@dataclass(frozen=True)
class TrainingData:
    """Batches of one phase: (x [n, ...], targets [n, ...], weights [n]).

    Attributes:
      epochs: (first, end) -> batches of the epochs from `first` to `end`, exclusive.
      images: images per epoch.
      batch_size: images per batch; the last batch of an epoch may be smaller.
      validation: every validation image once.
    """

    epochs: "Callable[[int, int], tf.data.Dataset]"
    images: int
    batch_size: int
    validation: "tf.data.Dataset"

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-self.images // self.batch_size)


def data_from_generators(
    train: Callable[[int], Iterator[tuple[Any, ...]]],
    images: int,
    batch_size: int,
    validation: Callable[[], Iterator[tuple[Any, ...]]],
    validation_steps: int,
    signature: "tuple[tf.TensorSpec, ...]",
) -> TrainingData:
    """Builds datasets from generators.

    Args:
      train: epoch, counted from 0 -> batches of that epoch.
      images: images per epoch.
      batch_size: images per batch.
      validation: returns the validation batches.
      validation_steps: number of validation batches.
      signature: of a batch.
    """
    import tensorflow as tf

    def epochs(first: int, end: int) -> "tf.data.Dataset":
        def batches() -> Iterator[tuple[Any, ...]]:
            for epoch in range(first, end):
                yield from train(epoch)

        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)

    val = tf.data.Dataset.from_generator(validation, output_signature=signature)
    val = val.apply(tf.data.experimental.assert_cardinality(validation_steps))
    return TrainingData(epochs, images, batch_size, val.prefetch(2))


def data_from_rows(
    train: LabeledRows, val: LabeledRows, seed: int, batch_size: int
) -> TrainingData:
    """Returns batches of arrays; small inputs are validated in larger batches."""
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
    if len(val) * values > _MAX_CACHED:
        return data
    # Cached, because starting a generator takes longer than validating a head.
    return replace(data, validation=data.validation.cache())
