"""Data for fine-tuning from images, which are augmented anew in each epoch."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.embedding.embed import embed_split
from core.embedding.forward import build_forward
from core.embedding.store import Embeddings, read_embeddings
from core.training.data.mixing import mix_batch
from core.training.data.transformed_images import decode_records, transformed_images
from core.training.job import Job
from core.training.loop.batches import LabeledRows, TrainingData, data_from_generators

if TYPE_CHECKING:
    import tensorflow as tf

_MIXING: Final = 1  # separates the random numbers of mixing from those of augmentation


@dataclass(frozen=True)
class RecordFile:
    """Transformed records in one local file with random access.

    The compressed TFRecord files that Transform writes can only be read sequentially.

    Attributes:
      file: the concatenated serialized records.
      offsets: int64 [n + 1], start of each record and end of the last one, bytes.
    """

    file: Path
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @functools.cached_property
    def _content(self) -> np.ndarray:
        return np.memmap(self.file, np.uint8, mode="r")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Returns the serialized records of some rows, object [n] of bytes."""
        records = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            records[i] = self._content[self.offsets[row] : self.offsets[row + 1]].tobytes()
        return records


def copy_records(files: Sequence[str], file: Path) -> RecordFile:
    """Copies records to one local file.

    Args:
      files: glob patterns of the gzip TFRecord files that Transform materialized.
      file: destination; its folder is created.
    """
    import tensorflow as tf

    paths = sorted(path for pattern in files for path in tf.io.gfile.glob(pattern))
    offsets = [0]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        records = tf.data.TFRecordDataset(paths, compression_type="GZIP")
        for record in records.as_numpy_iterator():
            out.write(record)
            offsets.append(offsets[-1] + len(record))
    return RecordFile(file, np.array(offsets, np.int64))


def embed_images(
    job: Job, train_files: Sequence[str], val_files: Sequence[str], folder: Path
) -> tuple[Embeddings, Embeddings]:
    """Embeds both splits, in the order of their records.

    Returns:
      The training split with features only, for the first phase, and the validation split with
      features and maps at `job.layer`, for the predictions of the fine-tuned network.
    """
    options = job.training.embedding

    def embed(split: str, files: Sequence[str], layer: str) -> Embeddings:
        forward = build_forward(
            job.model.backbone, job.size, job.weights.file or None, layer, "float32", options.seed
        )
        images = transformed_images(files, job.size, options.batch_size)
        metadata = {"compute": "float32"}
        embed_split(
            images,
            forward,
            folder / split,
            split,
            storage="float32",
            metadata=metadata,
            fit=job.model.fit,
        )
        return read_embeddings(folder / split)

    # Stored maps of the training split would lack the augmentation.
    return embed("train", train_files, "top"), embed("val", val_files, job.layer)


def image_training_data(
    job: Job,
    seed: int,
    train: RecordFile,
    val: RecordFile,
    rows: LabeledRows,
    val_rows: LabeledRows,
) -> TrainingData:
    """Returns batches of pixels for fine-tuning, augmented anew in each epoch.

    With mixup or CutMix, training targets are [n, 2, classes]; see `mix_batch`.

    Args:
      job: image size, view size, augmentation and mixing.
      seed: of order and augmentation.
      train: training images.
      val: validation images, which are not augmented.
      rows: targets and weights of `train`, in the same order.
      val_rows: targets and weights of `val`, in the same order.
    """
    import tensorflow as tf

    from core.models.augment import augment

    options, tune = job.training.embedding.augment, job.training.fine_tune
    assert tune is not None
    indices = replace(rows, views=(np.arange(len(train), dtype=np.int32),))
    val_indices = replace(val_rows, views=(np.arange(len(val), dtype=np.int32),))
    size = tune.batch_size

    def records(store: RecordFile, batches: Iterator[Any], epoch: int) -> Iterator[Any]:
        key = np.int32((seed * 100_003 + epoch) % 2**31)
        for index, targets, weights in batches:
            yield store.read(index), index, key, targets, weights

    def augmented(pixels: "tf.Tensor", key: "tf.Tensor", index: "tf.Tensor") -> "tf.Tensor":
        # The seed depends on the epoch and the image, not on the batch.
        return augment(pixels[tf.newaxis], options, tf.stack([key, index]), tune.view_size)[0]

    def training_batch(content: Any, index: Any, key: Any, targets: Any, weights: Any) -> Any:
        pixels = tf.map_fn(
            lambda item: augmented(item[0], key, item[1]),
            (decode_records(content, job.size)[0], index),
            fn_output_signature=tf.uint8,
        )
        side = tune.view_size or job.size
        pixels = tf.ensure_shape(pixels, [None, side, side, 1])
        if tune.mixup is None and tune.cutmix is None:
            return pixels, targets, weights
        # The first image of a batch identifies it within an epoch.
        mix_key = tf.random.experimental.stateless_fold_in(tf.stack([key, index[0]]), _MIXING)
        return mix_batch(pixels, targets, weights, mix_key, tune.mixup, tune.cutmix)

    def validation_batch(content: Any, index: Any, key: Any, targets: Any, weights: Any) -> Any:  # noqa: ARG001
        return decode_records(content, job.size)[0], targets, weights

    data = data_from_generators(
        lambda epoch: records(train, indices.epoch(seed, epoch, size), epoch),
        len(rows),
        size,
        lambda: records(val, val_indices.in_order(size), 0),
        -(-len(val_rows) // size),
        (
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None, rows.targets.shape[1]], tf.float32),
            tf.TensorSpec([None], tf.float32),
        ),
    )

    def mapped(dataset: "tf.data.Dataset", function: Any) -> "tf.data.Dataset":
        return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    return replace(
        data,
        epochs=lambda first, end: mapped(data.epochs(first, end), training_batch),
        validation=mapped(data.validation, validation_batch),
    )
