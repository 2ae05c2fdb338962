"""Training that reads images: everything above a cut learns, each epoch sees other views."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.embedder.embed import embed_split
from components.embedder.forward import build_forward
from components.embedder.store import Embeddings, read
from components.trainer.batches import Rows
from components.trainer.data import decoded, transformed_images
from components.trainer.distribution import Team
from components.trainer.image_store import SHARDS, ImageStore, Order, unpack
from components.trainer.job import Job
from components.trainer.loop import Source
from components.trainer.sources import image_source
from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf

_ROWS = 2048  # records that are parsed at a time


@dataclass(frozen=True)
class Images:
    """This process's share of both splits."""

    train: ImageStore
    val: ImageStore


def unpack_images(
    train_files: Sequence[str], val_files: Sequence[str], folder: Path, team: Team
) -> Images:
    """Copies this process's share to its disk."""
    return Images(
        unpack(train_files, folder / "train.images", team.share),
        unpack(val_files, folder / "val.images", team.share),
    )


def embed_images(
    job: Job, images: Images, val_files: Sequence[str], folder: Path
) -> tuple[Embeddings, Embeddings]:
    """Features for the first phase, and maps of validation for the last answers.

    Returns:
      train, in the order of the shards, and val.
    """
    options = job.training.embedding

    def embed(split: str, stream: Any) -> Embeddings:
        # Maps of train would not be read: they would be those of images without augmentation.
        cut = "top" if split == "train" else job.cut
        forward = build_forward(
            job.model.trunk, job.size, job.weights.file or None, cut, "float32", options.seed
        )
        embed_split(
            stream, forward, folder / split, split,
            storage="float32", facts={"compute": "float32"}, fit=job.model.fit,
        )  # fmt: skip
        return read(folder / split)

    rows = np.lexsort((images.train.place, images.train.shard))
    parts = (rows[i : i + options.batch_size] for i in range(0, len(rows), options.batch_size))
    train = embed("train", _streamed(images.train, parts, job.size))
    return train, embed("val", transformed_images(val_files, job.size, options.batch_size))


@dataclass(frozen=True)
class _Known:
    """The records of a store that have a place in the task, in the order of the shards.

    Attributes:
      rows: int64 [m], of the store.
      first: int64 [SHARDS + 1], where each shard begins among them.
    """

    rows: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, store: ImageStore, job: Job) -> "_Known":
        """Looks at the pathogen of each record."""
        from components.trainer.losses import targets_of

        known = targets_of(_pathogens(store), job.of).sum(axis=1) > 0
        rows = np.lexsort((store.place, store.shard))
        rows = rows[known[rows]]
        return cls(rows, np.searchsorted(store.shard[rows], np.arange(SHARDS + 1)))


def images_source(job: Job, seed: int, images: Images, rows: Rows | None, team: Team) -> Source:
    """Batches of pixels for fine-tuning end to end.

    Args:
      job: what to train.
      seed: of order and augmentation.
      images: of this process.
      rows: targets and weights of all training images; the chief's.
      team: who trains together.
    """
    import tensorflow as tf

    from components.trainer.losses import targets_of

    tune, options = job.training.fine_tune, job.training.embedding.augment
    assert tune is not None
    pairs = None
    if rows is not None:
        both = np.concatenate([rows.targets, rows.weights[:, np.newaxis]], axis=1)
        pairs = [np.unique(both[rows.rows], axis=0)]
    weight_of = {tuple(row[:-1]): row[-1] for row in team.tell(pairs)[0].tolist()}
    train, val = _Known.of(images.train, job), _Known.of(images.val, job)
    order = Order(team.total(np.diff(train.first)), tune.batch_size)

    def known(pathogens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = targets_of(pathogens, job.of)
        weights = [weight_of.get(tuple(target), 0.0) for target in targets.tolist()]
        return targets, np.array(weights, np.float32)

    def stream(epoch: int | None) -> "Iterator[tuple[tf.Tensor, dict[str, Any]]]":
        if epoch is None:
            n, size = len(val.rows), tune.batch_size
            parts = (val.rows[i : i + size] for i in range(0, n, size))
            yield from _streamed(images.val, parts, job.size)
            return
        from components.trainer.augment import augment
        from components.transform.decode import resize_gray

        number = (seed * 100_003 + epoch) % 2**31

        def view(item: "tuple[tf.Tensor, tf.Tensor]") -> "tf.Tensor":
            pixels, name = item
            if tune.view_size is not None:
                pixels = resize_gray(pixels, tune.view_size, "stretch")
            return augment(pixels[tf.newaxis], options, tf.stack([number, name]))[0]

        def views(pixels: "tf.Tensor", names: "tf.Tensor") -> "tf.Tensor":
            # Each image has a key of its own: its view is the same in whichever batch it comes.
            return tf.map_fn(view, (pixels, names), fn_output_signature=pixels.dtype)

        chosen = (
            train.rows[train.first[shards] + numbers]
            for shards, numbers in order.batches(seed, epoch, team.share)
        )
        yield from _streamed(images.train, chosen, job.size, views)

    return image_source(
        stream, known, order.steps, job.size, lambda step: order.window(step, team.share),
        tune.view_size,
    )  # fmt: skip


def _streamed(
    store: ImageStore, parts: Iterator[np.ndarray], size: int, views: Any = None
) -> "tf.data.Dataset":
    """Batches of a store: rows -> (uint8 [n, size, size, 1], identity), decoded ahead."""
    import tensorflow as tf

    def read_parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows in parts:
            names = store.place[rows] * SHARDS + store.shard[rows]
            yield np.array(store.read(rows), object), (names % 2**31).astype(np.int32)

    def ready(records: "tf.Tensor", names: "tf.Tensor") -> "tuple[tf.Tensor, dict[str, tf.Tensor]]":
        pixels, identity = decoded(records, size)
        return pixels if views is None else views(pixels, names), identity

    signature = (tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32))
    batches = tf.data.Dataset.from_generator(read_parts, output_signature=signature)
    return batches.map(ready, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _pathogens(store: ImageStore) -> np.ndarray:
    """Pathogen of each record, str [n]."""
    import tensorflow as tf

    spec = {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
    found: list[str] = []
    for start in range(0, len(store), _ROWS):
        records = store.read(range(start, min(start + _ROWS, len(store))))
        names = tf.io.parse_example(tf.constant(records), spec)[f.PATHOGEN].numpy()
        found += [name.decode() for name in names.tolist()]
    return np.array(found, str)
