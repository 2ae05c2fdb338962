"""The preprocessing function that the Transform node runs."""

from typing import Any

import tensorflow as tf

from core.images.resize_tf import to_png
from schema import features as f


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Decodes and resizes the images of raw records; passes the record features through.

    The output is independent of the task: labels are derived from the pathogen later (in training
    and in the SavedModel), so all tasks share one Transform and its embeddings.

    Args:
      inputs: the features of `schema/schema.pbtxt`, each [n, 1] unless sparse.
      custom_config: `image_size` (pixels) and `fit` ("stretch", "pad" or "crop").

    Returns:
      `image_png`, string [n] (8-bit gray PNG, image_size x image_size); id, file name, patient,
      pathogen and source of the record, string [n]; height and width, int64 [n]; mean gray level,
      float32 [n]; edges of the boxes, sparse float32, relative to the displayed image.
    """

    def flat(name: str) -> tf.Tensor:
        return tf.reshape(inputs[name], [-1])

    return {
        f.IMAGE_PNG: to_png(
            flat(f.IMAGE_ENCODED), int(custom_config["image_size"]), str(custom_config["fit"])
        ),
        **{name: flat(name) for name in f.RECORD_STRINGS},
        **{name: flat(name) for name in f.RECORD_NUMBERS},
        # Relative coordinates do not change on resizing; `core.images.boxes` converts them to the
        # model's square.
        **{name: inputs[name] for name in f.BOX_EDGES},
    }
