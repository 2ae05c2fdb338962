"""Encoded images on the disk of the process that trains on them, for reading in any order.

Transform writes compressed streams, which can be read from the start only. A process that trains
from images copies the records of its own shards once, and then reads in each epoch those images
that it needs and no others.

The images are dealt into `SHARDS` shards, whoever trains: by file where there are enough files
(then a process opens its own files alone), else record by record. Which shards make a batch does
not depend on the number of processes, nor does the order in a shard; so neither does a batch.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from components.trainer.cluster import ALONE, Share
from schema.errors import PneumoError

SHARDS: Final = 16
# Bits reversed: any few shards in a row belong to several processes.
_TURN: Final = np.array([int(f"{shard:04b}"[::-1], 2) for shard in range(SHARDS)])


def owner(shard: np.ndarray, size: int) -> np.ndarray:
    """Rank, of `size`, that has a shard; neighbours belong together. int64 [n]."""
    return np.asarray(shard) * size // SHARDS


@dataclass(frozen=True)
class ImageStore:
    """Records of some shards, serialized as Transform wrote them.

    Attributes:
      file: the records, one after the other.
      offsets: int64 [n + 1], where each begins and the last ends.
      shard: int64 [n], of each record, 0 to SHARDS - 1.
      place: int64 [n], of each record in its shard, as it was read.
    """

    file: Path
    offsets: np.ndarray
    shard: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    @functools.cached_property
    def _content(self) -> np.ndarray:
        if not self.offsets[-1]:
            return np.empty(0, np.uint8)
        return np.memmap(self.file, np.uint8, mode="r")

    def read(self, rows: Sequence[int] | np.ndarray) -> list[bytes]:
        """Serialized records of rows."""
        return [
            self._content[self.offsets[row] : self.offsets[row + 1]].tobytes()
            for row in np.asarray(rows, np.int64)
        ]


def unpack(files: Sequence[str], file: Path, share: Share = ALONE) -> ImageStore:
    """Copies the records of a share.

    Args:
      files: glob patterns of gzip TFRecords that Transform materialised.
      file: where to.
      share: of whom.

    Raises:
      PneumoError: more processes than shards.
    """
    import tensorflow as tf

    if share.size > SHARDS:
        raise PneumoError(
            f"training from images is shared by at most {SHARDS} processes, and TF_CONFIG names "
            f"{share.size}; give each more accelerators instead"
        )
    paths = sorted(path for pattern in files for path in tf.io.gfile.glob(pattern))
    by_file = len(paths) >= SHARDS
    offsets, shards, places = [0], [], []
    read = [0] * SHARDS
    count = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        for number, path in enumerate(paths):
            if by_file and owner(np.array(number % SHARDS), share.size) != share.rank:
                continue
            for record in _records(path):
                shard = (number if by_file else count) % SHARDS
                count += 1
                if owner(np.array(shard), share.size) != share.rank:
                    continue
                out.write(record)
                offsets.append(offsets[-1] + len(record))
                shards.append(shard)
                places.append(read[shard])
                read[shard] += 1
    return ImageStore(
        file, np.array(offsets, np.int64), np.array(shards, np.int64), np.array(places, np.int64)
    )


def _records(path: str) -> Iterator[bytes]:
    import tensorflow as tf

    yield from tf.data.TFRecordDataset(path, compression_type="GZIP").as_numpy_iterator()


def layout(counts: np.ndarray) -> np.ndarray:
    """The shard of each image of an epoch, in the order in which they are learned; int64 [n].

    Shards are mixed evenly, large ones and small ones, and take turns.

    Args:
      counts: images of each shard, int64 [SHARDS].
    """
    shard = np.repeat(np.arange(len(counts)), counts)
    number = np.concatenate([np.arange(count) for count in counts]) if len(shard) else shard
    return shard[np.lexsort((_TURN[shard], (number + 0.5) / counts[shard]))]


@dataclass(frozen=True)
class Order:
    """Which images each batch of an epoch has.

    Attributes:
      counts: images of each shard that may be learned from, int64 [SHARDS]; the same everywhere.
      batch_size: images of a batch, of all processes together.
    """

    counts: np.ndarray
    batch_size: int

    @functools.cached_property
    def _shards(self) -> np.ndarray:
        return layout(self.counts)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-len(self._shards) // self.batch_size)

    def window(self, step: int, share: Share = ALONE) -> tuple[int, int]:
        """Place of a share's first image in a batch, and images of the batch."""
        shards = self._batch(step)
        return int((owner(shards, share.size) < share.rank).sum()), len(shards)

    def batches(
        self, seed: int, epoch: int, share: Share = ALONE
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """A share of each batch: (shard, number among those of the shard), int64 [m] each.

        The order in a shard depends on `seed`, `epoch` and the shard alone.
        """
        mine = [int(s) for s in range(SHARDS) if owner(np.array(s), share.size) == share.rank]
        orders = {
            shard: np.random.default_rng((seed, epoch, shard)).permutation(self.counts[shard])
            for shard in mine
        }
        used = dict.fromkeys(mine, 0)
        for step in range(self.steps):
            shards = self._batch(step)
            shards = shards[owner(shards, share.size) == share.rank]
            numbers = np.empty(len(shards), np.int64)
            for shard in np.unique(shards).tolist():
                at = np.flatnonzero(shards == shard)
                numbers[at] = orders[shard][used[shard] : used[shard] + len(at)]
                used[shard] += len(at)
            yield shards, numbers

    def _batch(self, step: int) -> np.ndarray:
        """Shards of a batch's images; sorted, so that those of a process stand together."""
        start = step * self.batch_size
        return np.sort(self._shards[start : start + self.batch_size])
