"""The preprocessing function that the Transform node runs."""

from typing import Any

import tensorflow as tf

from core.images.boxes import EDGES
from core.images.decode import to_png
from schema import features as f


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Raw record -> model image, and what identifies the record. Knows no task.

    Labels are derived from the pathogen where they are needed (training, the SavedModel), so that
    one Transform, and every embedding made of it, serves all tasks.

    Args:
      inputs: the features of `schema/schema.pbtxt`, each [n, 1] unless sparse.
      custom_config: `image_size` (pixels) and `fit`.

    Returns:
      `image_png` string [n] (gray 8-bit PNG, image_size x image_size); the record's id, file name,
      patient, pathogen and source, string [n]; its height and width, int64 [n]; its mean gray
      level, float32 [n]; the edges of its boxes, sparse float32, relative to the displayed image.
    """

    def flat(name: str) -> tf.Tensor:
        return tf.reshape(inputs[name], [-1])

    return {
        f.IMAGE_PNG: to_png(
            flat(f.IMAGE_ENCODED), int(custom_config["image_size"]), str(custom_config["fit"])
        ),
        **{name: flat(name) for name in f.RECORD_STRINGS},
        **{name: flat(name) for name in f.RECORD_NUMBERS},
        # Relative, so that no resizing changes them; `core.images.boxes` takes them into
        # the square of the model.
        **{name: inputs[name] for name in EDGES},
    }
