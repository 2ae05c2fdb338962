"""Batches for training: rows of memory-mapped features, in an order of seed and epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.trainer.cluster import ALONE, Share

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Images that training may use, as rows of arrays.

    Attributes:
      views: view -> [n, ...], any float type, may be memory-mapped; view 0 is the image itself.
      targets: float32 [n, classes].
      weights: float32 [n], in the loss.
      rows: int64 [m], the rows that have a place in the task.
    """

    views: tuple[np.ndarray, ...]
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return -(-len(self.rows) // batch_size)

    def epoch(
        self, seed: int, epoch: int, batch_size: int, share: Share = ALONE
    ) -> Iterator[Batch]:
        """Every image once, one of its views each, in random order; of a share its part of them.

        The order depends on `seed` and `epoch` alone, so that a run that goes on after a kill sees
        what it would have seen. Nothing is read of what others have.
        """
        order, view = self.draw(seed, epoch)
        for start in range(0, len(order), batch_size):
            part = share.part(min(batch_size, len(order) - start))
            at = slice(start + part.start, start + part.stop)
            chosen = order[at]
            yield self.gather(chosen, view[at]), self.targets[chosen], self.weights[chosen]

    def draw(self, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of an epoch in their order, int64 [m], and the view of each, int64 [m]."""
        rng = np.random.default_rng((seed, epoch))
        order = self.rows[rng.permutation(len(self.rows))]
        return order, rng.integers(0, len(self.views), len(order))

    def gather(self, rows: np.ndarray, view: np.ndarray) -> np.ndarray:
        """Rows of chosen views, in the type of the store."""
        out = np.empty((len(rows), *self.views[0].shape[1:]), self.views[0].dtype)
        for number in np.unique(view):
            at = np.flatnonzero(view == number)
            out[at] = self.views[number][rows[at]]
        return out

    def in_order(self, batch_size: int, share: Share = ALONE) -> Iterator[Batch]:
        """Every image itself, in order; a share: its part of them."""
        rows = self.rows[share.part(len(self.rows))]
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            yield self.views[0][chosen], self.targets[chosen], self.weights[chosen]


def stacks(batches: Iterator[Batch], most: int) -> Iterator[tuple[int, Batch]]:
    """Up to `most` neighbours of one size, stacked, and the number of the first of them."""
    first, held = 0, list[Batch]()
    for batch in batches:
        if held and (len(held) == most or len(batch[0]) != len(held[0][0])):
            yield first, _stack(held)
            first, held = first + len(held), []
        held.append(batch)
    if held:
        yield first, _stack(held)


def _stack(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        x, targets, weights = batches[0]
        return x[np.newaxis], targets[np.newaxis], weights[np.newaxis]
    x, targets, weights = (np.stack(part) for part in zip(*batches, strict=True))
    return x, targets, weights
