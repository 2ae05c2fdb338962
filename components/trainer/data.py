"""Reads what Transform wrote, as a stream."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf


def transformed_images(files: Sequence[str], size: int, batch: int) -> "tf.data.Dataset":
    """Streams (pixels, label) of transformed records, in file order.

    Records without a label in the task (label -1) are left out.

    Args:
      files: glob patterns of gzip TFRecords that Transform materialised.
      size: side of the images, pixels.
      batch: images in a batch.

    Returns:
      A dataset of (uint8 [n, size, size, 1], int64 [n]).
    """
    import tensorflow as tf

    from components.transform.decode import from_png

    spec = {
        f.IMAGE_PNG: tf.io.FixedLenFeature([], tf.string),
        f.LABEL: tf.io.FixedLenFeature([], tf.int64),
    }
    paths = sorted(path for pattern in files for path in tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP")
    parsed = records.map(lambda record: tf.io.parse_single_example(record, spec))
    labelled = parsed.filter(lambda item: item[f.LABEL] >= 0).batch(batch)
    return labelled.map(
        lambda item: (from_png(item[f.IMAGE_PNG], size), item[f.LABEL]),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(2)
