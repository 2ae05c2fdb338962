"""The preprocessing function that the Transform node runs."""

from typing import Any

import tensorflow as tf

from components.transform.decode import to_png
from schema import features as f
from schema.labels import Task, task


def label_of(pathogen: tf.Tensor, of: Task) -> tf.Tensor:
    """Pathogens, string [n] -> class index of a task, int64 [n]; -1 where the task has none."""
    label = tf.fill(tf.shape(pathogen), tf.constant(-1, tf.int64))
    for name, index in of.class_of.items():
        label = tf.where(tf.equal(pathogen, name), tf.constant(index, tf.int64), label)
    return label


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Raw record -> model image, label of the task, and what identifies the record.

    Args:
      inputs: the features of `schema/schema.pbtxt`, each [n, 1] unless sparse.
      custom_config: `image_size` (pixels), `fit` and `task`.

    Returns:
      `image_png` string [n] (gray 8-bit PNG, image_size x image_size), `label` int64 [n], and the
      record's id, patient, pathogen and source, string [n].
    """

    def flat(name: str) -> tf.Tensor:
        return tf.reshape(inputs[name], [-1])

    return {
        f.IMAGE_PNG: to_png(
            flat(f.IMAGE_ENCODED), int(custom_config["image_size"]), str(custom_config["fit"])
        ),
        f.LABEL: label_of(flat(f.PATHOGEN), task(custom_config["task"])),
        f.IMAGE_SHA256: flat(f.IMAGE_SHA256),
        f.PATIENT_ID: flat(f.PATIENT_ID),
        f.PATHOGEN: flat(f.PATHOGEN),
        f.IMAGE_SOURCE: flat(f.IMAGE_SOURCE),
    }
