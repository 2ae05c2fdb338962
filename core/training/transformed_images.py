"""Reads what Transform wrote, as a stream."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.embedding.records import parse_records
from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf


def transformed_images(files: Sequence[str], size: int, batch: int) -> "tf.data.Dataset":
    """Streams (pixels, identity) of transformed records.

    Args:
      files: glob patterns of gzip TFRecords that Transform materialised.
      size: side of the images, pixels.
      batch: images in a batch.

    Returns:
      A dataset of (uint8 [n, size, size, 1], identity): what
      `core.embedding.records.parse_records` gives.
    """
    import tensorflow as tf

    paths = sorted(path for pattern in files for path in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP")
    return (
        records.batch(batch)
        .map(lambda batch_of: decoded(batch_of, size), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )


def decoded(records: "tf.Tensor", size: int) -> tuple["tf.Tensor", dict[str, "tf.Tensor"]]:
    """Transformed records, string [n] -> (uint8 [n, size, size, 1], identity)."""
    import tensorflow as tf

    from core.images.decode import from_png

    png = {f.IMAGE_PNG: tf.io.FixedLenFeature([], tf.string)}
    parsed = parse_records(records, png)
    return from_png(parsed.pop(f.IMAGE_PNG), size), parsed
