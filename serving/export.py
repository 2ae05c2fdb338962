"""The SavedModel: one transform graph, one network, several doors.

Every signature sends an image through the graph that Transform wrote, so training and serving
cannot decode an image in two ways.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema import features as f
from schema.labels import Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import tensorflow_transform as tft

ABOUT = "assets.extra/pneumo.json"
POSITIVE, NEGATIVE, REFER = "POSITIVE", "NEGATIVE", "REFER"


@dataclass(frozen=True)
class Decision:
    """What validation fixed.

    Attributes:
      temperature: the logarithm of the ensemble's probabilities is divided by it (Guo et al. 2017).
      threshold: a score at or above it is called positive.
      band: scores from the first to below the second are referred to a person; none: no such band.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    band: Sequence[float] | None = None


def export(
    network: "Callable[[tf.Tensor], tf.Tensor]",
    variables: "Sequence[keras.Variable]",
    size: int,
    transform: "tft.TFTransformOutput",
    of: Task,
    folder: str,
    *,
    pixels_of: "Callable[[tf.Tensor], tf.Tensor]",
    decision: Decision,
    about: dict[str, Any],
) -> None:
    """Writes the SavedModel.

    Signatures, n images each:
      serving_default: `image_bytes` string [n] -> `probabilities` float32 [n, classes]
        (calibrated), `score` float32 [n] (of the positive classes together), `decision` string [n]
        (POSITIVE, NEGATIVE or REFER), `predicted_class` string [n], `classes` string [n, classes].
      examples: serialized records, string [n] -> `probabilities`, `score`, `raw` (before
        temperature), `members` float32 [n, members * classes]. For TFMA and Scorer.
      labels: serialized records, string [n] -> `label` int64 [n] (1: positive), `example_weight`
        float32 [n] (0: no place in the task). For TFMA.
      transform_features: serialized records, string [n] -> everything that Transform makes.

    Args:
      network: float32 [n, size, size, 1] in 0..255 -> logits float32 [n, members, classes].
      variables: of the network.
      size: side of the images, pixels.
      transform: output of the Transform node.
      of: the task; gives names and the positive classes.
      folder: where the SavedModel goes.
      pixels_of: reads the images that Transform encoded, string [n] -> uint8 [n, size, size, 1].
      decision: what validation fixed.
      about: facts about the model, stored beside it as JSON.
    """
    import tensorflow as tf

    module = _module(network, variables, transform, of, pixels_of, decision)
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
        "task": of.to_dict(),
        "classes": list(of.classes),
        "positive": [of.classes[i] for i in of.positive],
        "temperature": decision.temperature,
        "threshold": decision.threshold,
        "band": list(decision.band) if decision.band is not None else None,
        "image_size": size,
        "notice": "Research software, not a medical device.",
        **about,
    }
    extra.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _module(
    network: "Callable[[tf.Tensor], tf.Tensor]",
    variables: "Sequence[keras.Variable]",
    transform: "tft.TFTransformOutput",
    of: Task,
    pixels_of: "Callable[[tf.Tensor], tf.Tensor]",
    decision: Decision,
) -> Any:
    import tensorflow as tf

    class Radiograph(tf.Module):
        """Holds the two graphs, so that what they need is saved with the signatures."""

        def __init__(self) -> None:
            super().__init__(name="radiograph")
            self.transform = transform.transform_features_layer()
            # The variables alone: Keras's own object tree makes saving several times slower, and
            # nothing reads it back.
            self.network_variables = [variable.value for variable in variables]
            self.classes = tf.constant(of.classes)

        # A function of its own: both doors call one copy of the network.
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def _members(self, encoded: "tf.Tensor") -> "tf.Tensor":
            transformed = self.transform({f.IMAGE_ENCODED: encoded[:, tf.newaxis]})
            pixels = tf.cast(pixels_of(transformed[f.IMAGE_PNG]), tf.float32)
            return tf.nn.softmax(network(pixels))

        @tf.function(autograph=False)
        def serve(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            probabilities, score = _answer(self._members(image_bytes), of, decision)
            return {
                "probabilities": probabilities,
                "score": score,
                "decision": _decide(score, decision),
                "predicted_class": tf.gather(
                    self.classes, _class(probabilities, score, of, decision.threshold)
                ),
                "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(score)[0], 1]),
            }

        @tf.function(autograph=False)
        def score_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            parsed = tf.io.parse_example(
                examples, {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
            )
            members = self._members(parsed[f.IMAGE_ENCODED])
            probabilities, score = _answer(members, of, decision)
            return {
                "probabilities": probabilities,
                "score": score,
                "raw": tf.reduce_mean(members, axis=1),
                "members": tf.reshape(
                    members, [tf.shape(members)[0], members.shape[1] * members.shape[2]]
                ),
            }

        @tf.function(autograph=False)
        def label_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            parsed = tf.io.parse_example(
                examples, {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
            )
            positive = _positive(parsed[f.PATHOGEN], of)
            return {
                f.LABEL: tf.maximum(positive, 0),
                f.WEIGHT: tf.cast(positive >= 0, tf.float32),
            }

        @tf.function(autograph=False)
        def transform_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            spec = transform.raw_feature_spec()
            return self.transform(tf.io.parse_example(examples, spec))

    return Radiograph()


def _answer(members: "tf.Tensor", of: Task, decision: Decision) -> tuple["tf.Tensor", "tf.Tensor"]:
    """Members' probabilities [n, m, c] -> calibrated [n, c], and the score [n]."""
    import tensorflow as tf

    mean = tf.reduce_mean(members, axis=1)
    log = tf.math.log(tf.maximum(mean, 1e-12))
    probabilities = tf.nn.softmax(log / decision.temperature)
    score = tf.reduce_sum(tf.gather(probabilities, of.positive, axis=1), axis=1)
    return probabilities, tf.clip_by_value(score, 0.0, 1.0)


def _class(
    probabilities: "tf.Tensor", score: "tf.Tensor", of: Task, threshold: float
) -> "tf.Tensor":
    """The most probable class on the side of the operating point that the score is on."""
    import tensorflow as tf

    side = tf.constant([i in of.positive for i in range(len(of.classes))])
    allowed = tf.equal(side[tf.newaxis], (score >= threshold)[:, tf.newaxis])
    return tf.argmax(tf.where(allowed, probabilities, -1.0), axis=-1, output_type=tf.int32)


def _decide(score: "tf.Tensor", decision: Decision) -> "tf.Tensor":
    import tensorflow as tf

    called = tf.where(score >= decision.threshold, POSITIVE, NEGATIVE)
    if decision.band is None:
        return called
    low, high = decision.band
    return tf.where((score >= low) & (score < high), REFER, called)


def _positive(pathogen: "tf.Tensor", of: Task) -> "tf.Tensor":
    """Pathogens, string [n] -> 1, 0, or -1 where the task does not tell; int64 [n]."""
    import tensorflow as tf

    found = tf.fill(tf.shape(pathogen), tf.constant(-1, tf.int64))
    for name in of.compatible:
        value = tf.constant(of.is_positive(name), tf.int64)
        found = tf.where(tf.equal(pathogen, name), value, found)
    return found
