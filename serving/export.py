"""The SavedModel: one transform graph, one network, several doors.

Signatures for records send an image through the graph that Transform wrote; those for clients
through the code that it was traced from, guarded (serving/guard.py), and export fails where the two
differ in a pixel. So training and serving cannot decode an image in two ways.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema import features as f
from schema.labels import Task
from serving.guard import OK, Limits, fit_of, read_images
from serving.warmup import write_warmup

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import tensorflow_transform as tft

ABOUT = "assets.extra/pneumo.json"
POSITIVE, NEGATIVE, REFER, REJECTED = "POSITIVE", "NEGATIVE", "REFER", "REJECTED"
NO_NUMBER = -1.0  # in the place of a probability that there is not; JSON has no NaN


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
    features: "Callable[[tf.Tensor], tf.Tensor]",
    decision: Decision,
    about: dict[str, Any],
    limits: Limits = Limits(),  # noqa: B008  frozen
) -> None:
    """Writes the SavedModel, facts about it and warm-up requests.

    Signatures, n images each:
      serving_default: `image_bytes` string [n], JPEG or PNG files -> `probabilities` float32
        [n, classes] (calibrated), `score` float32 [n] (of the positive classes together),
        `decision` string [n] (POSITIVE, NEGATIVE, REFER in the band of abstention, or REJECTED),
        `abstained` bool [n] (of the latter two), `predicted_class` string [n], `classes` string
        [n, classes], `status` string [n] (see `guard.read_images`). A rejected image has -1 for
        every number and "" for its class; it changes no bit of its neighbours' answers.
      embed: `image_bytes` string [n] -> `embedding` float32 [n, d], the pooled features of the
        trunk (zeros for a rejected image), `status` string [n].
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
      features: float32 [n, size, size, 1] in 0..255 -> what the heads see, float32 [n, d].
      decision: what validation fixed.
      about: facts about the model, stored beside it as JSON.
      limits: what one image of a client may cost.

    Raises:
      ValueError: Transform's graph and this code read different pixels.
    """
    import tensorflow as tf

    layer = transform.transform_features_layer()
    fit = fit_of(layer, size)

    def guarded(contents: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        return read_images(contents, size, fit, limits)

    module = _module(
        network, features, variables, layer, transform.raw_feature_spec(), of, pixels_of, guarded,
        decision,
    )  # fmt: skip
    strings = tf.TensorSpec([None], tf.string)
    images = tf.TensorSpec([None], tf.string, name="image_bytes")
    tf.saved_model.save(
        module,
        folder,
        signatures={
            "serving_default": module.serve.get_concrete_function(images),
            "embed": module.embed.get_concrete_function(images),
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
        "fit": fit,
        "limits": limits.to_dict(),
        "notice": "Research software, not a medical device.",
        **about,
    }
    extra.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    write_warmup(Path(folder))


def _module(
    network: "Callable[[tf.Tensor], tf.Tensor]",
    features: "Callable[[tf.Tensor], tf.Tensor]",
    variables: "Sequence[keras.Variable]",
    transform: Any,
    raw_spec: dict[str, Any],
    of: Task,
    pixels_of: "Callable[[tf.Tensor], tf.Tensor]",
    guarded: "Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]",
    decision: Decision,
) -> Any:
    import tensorflow as tf

    class Radiograph(tf.Module):
        """Holds the two graphs, so that what they need is saved with the signatures."""

        def __init__(self) -> None:
            super().__init__(name="radiograph")
            self.transform = transform
            # The variables alone: Keras's own object tree makes saving several times slower, and
            # nothing reads it back.
            self.network_variables = [variable.value for variable in variables]
            self.classes = tf.constant(of.classes)

        # A function of its own: all doors call one copy of the network.
        @tf.function(autograph=False)
        def _members(self, pixels: "tf.Tensor") -> "tf.Tensor":
            return tf.nn.softmax(network(tf.cast(pixels, tf.float32)))

        @tf.function(autograph=False)
        def serve(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            pixels, status = guarded(image_bytes)
            good = tf.equal(status, OK)
            probabilities, score = _answer(self._members(pixels), of, decision)
            named = tf.gather(self.classes, _class(probabilities, score, of, decision.threshold))
            called = tf.where(good, _decide(score, decision), REJECTED)
            return {
                "probabilities": tf.where(good[:, tf.newaxis], probabilities, NO_NUMBER),
                "score": tf.where(good, score, NO_NUMBER),
                "decision": called,
                "abstained": tf.equal(called, REFER) | tf.equal(called, REJECTED),
                "predicted_class": tf.where(good, named, ""),
                "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(score)[0], 1]),
                "status": status,
            }

        @tf.function(autograph=False)
        def embed(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            pixels, status = guarded(image_bytes)
            embedding = features(tf.cast(pixels, tf.float32))
            good = tf.equal(status, OK)[:, tf.newaxis]
            return {"embedding": tf.where(good, embedding, 0.0), "status": status}

        @tf.function(autograph=False)
        def score_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            parsed = tf.io.parse_example(
                examples, {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
            )
            encoded = parsed[f.IMAGE_ENCODED][:, tf.newaxis]
            members = self._members(
                pixels_of(self.transform({f.IMAGE_ENCODED: encoded})[f.IMAGE_PNG])
            )
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
            return self.transform(tf.io.parse_example(examples, raw_spec))

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
