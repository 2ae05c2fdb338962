"""Training that reads images: everything above a cut learns, each epoch sees other views."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.embedder.embed import embed_split
from components.embedder.forward import build_forward
from components.embedder.store import Embeddings, read
from components.trainer.batches import Rows
from components.trainer.data import transformed_images
from components.trainer.fit import image_source
from components.trainer.job import Job
from components.trainer.loop import Source

if TYPE_CHECKING:
    import tensorflow as tf

SHUFFLE = 512  # encoded images held for shuffling; records are in random order already


def embed_images(
    job: Job, train_files: Sequence[str], val_files: Sequence[str], folder: Path
) -> tuple[Embeddings, Embeddings]:
    """Features for the first phase, and maps of validation for the last answers."""
    options = job.training.embedding
    found = []
    for split, files in (("train", train_files), ("val", val_files)):
        # Maps of train would not be read: they would be those of images without augmentation.
        cut = "top" if split == "train" else job.cut
        forward = build_forward(
            job.model.trunk, job.size, job.weights.file or None, cut, "float32", options.seed
        )
        embed_split(
            transformed_images(files, job.size, options.batch_size),
            forward,
            folder / split,
            split,
            storage="float32",
            facts={"compute": "float32"},
            fit=job.model.fit,
        )
        found.append(read(folder / split))
    return found[0], found[1]


def images_source(
    job: Job, seed: int, train_files: Sequence[str], val_files: Sequence[str], rows: Rows
) -> Source:
    """Batches of pixels for fine-tuning end to end."""
    from components.trainer.augment import augment
    from components.trainer.losses import targets_of

    tune, options = job.training.fine_tune, job.training.embedding.augment
    assert tune is not None
    weight_of = {
        tuple(target): weight
        for target, weight in zip(rows.targets.tolist(), rows.weights.tolist(), strict=True)
    }

    def known(pathogens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = targets_of(pathogens, job.of)
        weights = [weight_of.get(tuple(target), 0.0) for target in targets.tolist()]
        return targets, np.array(weights, np.float32)

    def stream(epoch: int | None) -> "Iterator[tuple[tf.Tensor, dict[str, Any]]]":
        if epoch is None:
            yield from transformed_images(val_files, job.size, tune.batch_size)
            return
        import tensorflow as tf

        number = seed * 100_003 + epoch
        images = transformed_images(train_files, job.size, tune.batch_size, (SHUFFLE, number))
        for i, (pixels, identity) in enumerate(images):
            yield augment(pixels, options, tf.constant([number % 2**31, i], tf.int32)), identity

    steps = -(-len(rows.targets) // tune.batch_size)
    return image_source(stream, known, steps, job.size)
