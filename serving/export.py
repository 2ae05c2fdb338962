"""The SavedModel: one transform graph, one network, several doors.

Every signature sends an image through the graph that Transform wrote, so training and serving
cannot decode an image in two ways.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema import features as f
from schema.labels import Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import tensorflow_transform as tft

ABOUT = "assets.extra/pneumo.json"


def export(
    model: "keras.Model",
    transform: "tft.TFTransformOutput",
    of: Task,
    folder: str,
    *,
    pixels_of: "Callable[[tf.Tensor], tf.Tensor]",
    threshold: float,
    about: dict[str, Any],
) -> None:
    """Writes the SavedModel.

    Signatures, n images each:
      serving_default: `image_bytes` string [n] -> `probabilities` float32 [n, classes], `score`
        float32 [n] (probability of the positive class), `predicted_class` string [n], `classes`
        string [n, classes].
      examples: serialized records, string [n] -> `probabilities`, `score`. For TFMA.
      labels: serialized records, string [n] -> `label` int64 [n]. For TFMA.
      transform_features: serialized records, string [n] -> everything that Transform makes.

    Args:
      model: float32 [n, size, size, 1] in 0..255 -> logits [n, classes].
      transform: output of the Transform node.
      of: the task; gives names and the positive class.
      folder: where the SavedModel goes.
      pixels_of: reads the images that Transform encoded, string [n] -> uint8 [n, size, size, 1].
      threshold: a score at or above it is called positive.
      about: facts about the model, stored beside it as JSON.
    """
    import tensorflow as tf

    module = _module(model, transform, of, pixels_of, threshold)
    strings = tf.TensorSpec([None], tf.string)
    tf.saved_model.save(
        module,
        folder,
        signatures={
            "serving_default": module.serve.get_concrete_function(
                tf.TensorSpec([None], tf.string, name="image_bytes")
            ),
            "examples": module.score_examples.get_concrete_function(strings),
            "labels": module.label_examples.get_concrete_function(strings),
            "transform_features": module.transform_examples.get_concrete_function(strings),
        },
    )
    extra = Path(folder) / ABOUT
    extra.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "task": of.name,
        "classes": list(of.classes),
        "positive": of.classes[of.positive],
        "threshold": threshold,
        "image_size": int(model.input_shape[1]),
        "notice": "Research software, not a medical device.",
        **about,
    }
    extra.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _module(
    model: "keras.Model",
    transform: "tft.TFTransformOutput",
    of: Task,
    pixels_of: "Callable[[tf.Tensor], tf.Tensor]",
    threshold: float,
) -> Any:
    import tensorflow as tf

    class Radiograph(tf.Module):
        """Holds the two graphs, so that what they need is saved with the signatures."""

        def __init__(self) -> None:
            super().__init__(name="radiograph")
            self.transform = transform.transform_features_layer()
            # The variables alone: Keras's own object tree makes saving several times slower, and
            # nothing reads it back.
            self.network_variables = [variable.value for variable in model.variables]
            self.classes = tf.constant(of.classes)

        # A function of its own: both doors call one copy of the network.
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def _probabilities(self, encoded: "tf.Tensor") -> "tf.Tensor":
            transformed = self.transform({f.IMAGE_ENCODED: encoded[:, tf.newaxis]})
            pixels = tf.cast(pixels_of(transformed[f.IMAGE_PNG]), tf.float32)
            return tf.nn.softmax(model(pixels, training=False))

        @tf.function(autograph=False)
        def serve(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            probabilities = self._probabilities(image_bytes)
            score = probabilities[:, of.positive]
            if len(of.classes) == 2:
                index = tf.where(score >= threshold, of.positive, 1 - of.positive)
            else:
                index = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
            return {
                "probabilities": probabilities,
                "score": score,
                "predicted_class": tf.gather(self.classes, index),
                "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(score)[0], 1]),
            }

        @tf.function(autograph=False)
        def score_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            parsed = tf.io.parse_example(
                examples, {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
            )
            probabilities = self._probabilities(parsed[f.IMAGE_ENCODED])
            return {"probabilities": probabilities, "score": probabilities[:, of.positive]}

        @tf.function(autograph=False)
        def label_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            parsed = tf.io.parse_example(
                examples, {f.PATHOGEN: tf.io.FixedLenFeature([1], tf.string)}
            )
            return {f.LABEL: self.transform(parsed)[f.LABEL]}

        @tf.function(autograph=False)
        def transform_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            spec = transform.raw_feature_spec()
            return self.transform(tf.io.parse_example(examples, spec))

    return Radiograph()
