"""Streams the images that the Transform node wrote."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.embedding.records import parse_records
from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf


def transformed_images(files: Sequence[str], size: int, batch_size: int) -> "tf.data.Dataset":
    """Streams batches of transformed images and their record features.

    Args:
      files: glob patterns of the gzip TFRecord files that Transform materialized.
      size: image side, pixels.
      batch_size: images per batch.

    Returns:
      A dataset of (uint8 [n, size, size, 1], features); see
      `core.embedding.records.parse_records` for the features.
    """
    import tensorflow as tf

    paths = sorted(path for pattern in files for path in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP")
    return (
        records.batch(batch_size)
        .map(lambda batch: decode_records(batch, size), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )


def decode_records(records: "tf.Tensor", size: int) -> tuple["tf.Tensor", dict[str, "tf.Tensor"]]:
    """Decodes serialized records, string [n], to (uint8 [n, size, size, 1], features)."""
    import tensorflow as tf

    from core.images.resize_tf import from_png

    png = {f.IMAGE_PNG: tf.io.FixedLenFeature([], tf.string)}
    parsed = parse_records(records, png)
    return from_png(parsed.pop(f.IMAGE_PNG), size), parsed
