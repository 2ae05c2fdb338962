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
from serving.guard import OK, Images, Limits, fit_of, read_images
from serving.places import boxes_in_pixels, displayed_boxes, displayed_heat, shown_boxes
from serving.warmup import write_warmup

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.explain.types import Explained

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
    explain: "Callable[[tf.Tensor], Explained] | None" = None,
    box_threshold: float = 0.0,
) -> None:
    """Writes the SavedModel, facts about it and warm-up requests.

    Signatures, n images each:
      serving_default: `image_bytes` string [n], JPEG or PNG files -> `probabilities` float32
        [n, classes] (calibrated), `score` float32 [n] (of the positive classes together),
        `decision` string [n] (POSITIVE, NEGATIVE, REFER in the band of abstention, or REJECTED),
        `abstained` bool [n] (of the latter two), `predicted_class` string [n], `classes` string
        [n, classes], `status` string [n] (see `guard.read_images`). A rejected image has -1 for
        every number and "" for its class; it changes no bit of its neighbours' answers.
      explain (with `explain`): `image_bytes` string [n] -> all that serving_default gives,
        `heatmap` float32 [n, h, w], 0..1, cells of equal size that cover the displayed image,
        `boxes` float32 [n, K, 4] (ymin, xmin, ymax, xmax in pixels of the displayed image, best
        first, zeros after the last), `box_scores` float32 [n, K] (-1 after the last),
        `image_height` and `image_width` int64 [n], of the displayed image. A rejected image has 0
        everywhere and -1 for scores. "Displayed": the EXIF orientation is applied.
        For a task that locates, serving_default has these `boxes` and `box_scores` too.
      embed: `image_bytes` string [n] -> `embedding` float32 [n, d], the pooled features of the
        trunk (zeros for a rejected image), `status` string [n].
      examples: serialized records, string [n] -> `probabilities`, `score`, `raw` (before
        temperature), `members` float32 [n, members * classes]. For TFMA and Scorer. For a task that
        locates also `boxes` float32 [n, K * 4], in parts of the displayed image, and `box_scores`.
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
      explain: float32 [n, size, size, 1] in 0..255 -> heat and boxes in the model's square.
      box_threshold: clients are told of boxes whose score is at or above it; `examples` has all,
        because average precision and FROC need them.

    Raises:
      ValueError: a task that locates without `explain`; Transform's graph and this code read
        different pixels.
    """
    import tensorflow as tf

    if of.located and explain is None:
        raise ValueError(f"task {of.name!r} locates, and there is nothing that does")
    layer = transform.transform_features_layer()
    fit = fit_of(layer, size)

    def guarded(contents: "tf.Tensor") -> Images:
        return read_images(contents, size, fit, limits)

    module = _module(
        network, features, variables, layer, transform.raw_feature_spec(), of, pixels_of, guarded,
        decision, explain, fit, box_threshold,
    )  # fmt: skip
    strings = tf.TensorSpec([None], tf.string)
    images = tf.TensorSpec([None], tf.string, name="image_bytes")
    tf.saved_model.save(
        module,
        folder,
        signatures={
            "serving_default": module.serve.get_concrete_function(images),
            **({"explain": module.explain.get_concrete_function(images)} if explain else {}),
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
    write_warmup(Path(folder), others=("embed", "explain") if explain else ("embed",))


def _module(
    network: "Callable[[tf.Tensor], tf.Tensor]",
    features: "Callable[[tf.Tensor], tf.Tensor]",
    variables: "Sequence[keras.Variable]",
    transform: Any,
    raw_spec: dict[str, Any],
    of: Task,
    pixels_of: "Callable[[tf.Tensor], tf.Tensor]",
    guarded: "Callable[[tf.Tensor], Images]",
    decision: Decision,
    explained: "Callable[[tf.Tensor], Explained] | None",
    fit: str,
    box_threshold: float,
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
        def _explained(self, pixels: "tf.Tensor") -> "tuple[tf.Tensor, Explained]":
            """Members' probabilities, heat and boxes, of one pass through the network."""
            assert explained is not None
            found = explained(tf.cast(pixels, tf.float32))
            if found.logits is None:
                return self._members(pixels), found
            return tf.nn.softmax(found.logits), found._replace(logits=None)

        @tf.function(autograph=False)
        def serve(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            images = guarded(image_bytes)
            if not of.located:
                return self._told(images, self._members(images.pixels))
            members, found = self._explained(images.pixels)
            shown = shown_boxes(found, box_threshold)
            return self._told(images, members) | boxes_in_pixels(shown, images, fit)

        @tf.function(autograph=False)
        def explain(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            images = guarded(image_bytes)
            members, found = self._explained(images.pixels)
            good = tf.equal(images.status, OK)[:, tf.newaxis, tf.newaxis]
            heat = displayed_heat(found.heat, images.sides, fit, images.pixels.shape[1])
            return {
                **self._told(images, members),
                **boxes_in_pixels(shown_boxes(found, box_threshold), images, fit),
                "heatmap": tf.where(good, heat, 0.0),
                "image_height": images.sides[:, 0],
                "image_width": images.sides[:, 1],
            }

        def _told(self, images: Images, members: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            good = tf.equal(images.status, OK)
            probabilities, score = calibrated(members, of, decision)
            named = tf.gather(self.classes, _class(probabilities, score, of, decision.threshold))
            called = tf.where(good, _decide(score, decision), REJECTED)
            return {
                "probabilities": tf.where(good[:, tf.newaxis], probabilities, NO_NUMBER),
                "score": tf.where(good, score, NO_NUMBER),
                "decision": called,
                "abstained": tf.equal(called, REFER) | tf.equal(called, REJECTED),
                "predicted_class": tf.where(good, named, ""),
                "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(score)[0], 1]),
                "status": images.status,
            }

        @tf.function(autograph=False)
        def embed(self, image_bytes: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            images = guarded(image_bytes)
            embedding = features(tf.cast(images.pixels, tf.float32))
            good = tf.equal(images.status, OK)[:, tf.newaxis]
            return {"embedding": tf.where(good, embedding, 0.0), "status": images.status}

        @tf.function(autograph=False)
        def score_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            wanted = (f.IMAGE_ENCODED, *((f.IMAGE_HEIGHT, f.IMAGE_WIDTH) if of.located else ()))
            kinds = (tf.string, tf.int64, tf.int64)
            parsed = tf.io.parse_example(
                examples,
                {n: tf.io.FixedLenFeature([], k) for n, k in zip(wanted, kinds, strict=False)},
            )
            encoded = parsed[f.IMAGE_ENCODED][:, tf.newaxis]
            pixels = pixels_of(self.transform({f.IMAGE_ENCODED: encoded})[f.IMAGE_PNG])
            located: dict[str, tf.Tensor] = {}
            if of.located:
                members, found = self._explained(pixels)
                height, width = parsed[f.IMAGE_HEIGHT], parsed[f.IMAGE_WIDTH]
                boxes = displayed_boxes(found, height, width, fit, pixels.shape[1])
                flat = tf.reshape(boxes, [-1, 4 * boxes.shape[1]])
                located = {"boxes": flat, "box_scores": found.box_scores}
            else:
                members = self._members(pixels)
            probabilities, score = calibrated(members, of, decision)
            return {
                "probabilities": probabilities,
                "score": score,
                "raw": tf.reduce_mean(members, axis=1),
                "members": tf.reshape(
                    members, [tf.shape(members)[0], members.shape[1] * members.shape[2]]
                ),
                **located,
            }

        @tf.function(autograph=False)
        def label_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            positive = _positive(examples, of)
            return {
                f.LABEL: tf.maximum(positive, 0),
                f.WEIGHT: tf.cast(positive >= 0, tf.float32),
            }

        @tf.function(autograph=False)
        def transform_examples(self, examples: "tf.Tensor") -> dict[str, "tf.Tensor"]:
            made = self.transform(tf.io.parse_example(examples, raw_spec))
            # The edges of boxes, as many as the image with the most has; -1 after the last.
            return {
                name: tf.sparse.to_dense(value, -1.0)
                if isinstance(value, tf.SparseTensor)
                else value
                for name, value in made.items()
            }

    return Radiograph()


def calibrated(
    members: "tf.Tensor", of: Task, decision: Decision
) -> tuple["tf.Tensor", "tf.Tensor"]:
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


def _positive(examples: "tf.Tensor", of: Task) -> "tf.Tensor":
    """Serialized records, string [n] -> 1, 0, or -1 where the task does not tell; int64 [n]."""
    import tensorflow as tf

    if of.located:
        edge = {f.BOX_YMIN: tf.io.RaggedFeature(tf.float32)}
        boxes = tf.io.parse_example(examples, edge)[f.BOX_YMIN].row_lengths()
        return tf.cast(boxes > 0, tf.int64)
    spec = {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
    pathogen = tf.io.parse_example(examples, spec)[f.PATHOGEN]
    found = tf.fill(tf.shape(pathogen), tf.constant(-1, tf.int64))
    for name in of.compatible:
        value = tf.constant(of.side(name, 0), tf.int64)
        found = tf.where(tf.equal(pathogen, name), value, found)
    return found
