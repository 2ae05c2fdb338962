"""The graph of the SavedModel: decoding, network, calibration and decision, one method each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from core.models.decision_rule import (
    REFER,
    REJECTED,
    DecisionRule,
    calibrate_probabilities,
    decide,
    predicted_class,
)
from schema import features as f
from schema.labels import Task
from serving.export.guard import OK, Images, Limits, read_images
from serving.export.places import boxes_in_pixels, displayed_boxes, displayed_heat, shown_boxes

if TYPE_CHECKING:
    from core.models.explain.explanation import Explanation

NO_NUMBER = -1.0  # instead of an undefined probability; JSON has no NaN
Layer = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Parts:
    """Functions and constants of the graph; see `serving.export.saved_model.export`.

    A plain object, because tf.Module saves every Keras object that is its attribute.
    """

    network: Layer
    features: Layer
    pixels_of: Layer
    raw_spec: dict[str, Any]
    task: Task
    decision: DecisionRule
    limits: Limits
    size: int
    fit: str
    explain: "Callable[[tf.Tensor], Explanation] | None"
    box_threshold: float


class Radiograph(tf.Module):
    """Everything that the signatures need, so that it is saved with them.

    Args:
      parts: functions and constants.
      transform: Transform's graph.
      variables: of the network (Keras's own object tree makes saving several times slower, and
        nothing reads it back).
    """

    def __init__(
        self,
        parts: Parts,
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        variables: Sequence[tf.Variable],
    ) -> None:
        super().__init__(name="radiograph")
        self.parts, self.transform, self.network_variables = parts, transform, variables
        self.classes = tf.constant(parts.task.classes)

    # Functions of their own: all signatures call one copy of the network.
    @tf.function(autograph=False)
    def _members(self, pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self.parts.network(tf.cast(pixels, tf.float32)))

    @tf.function(autograph=False)
    def _explained(self, pixels: tf.Tensor) -> "tuple[tf.Tensor, Explanation]":
        """Members' probabilities, heat and boxes, of one pass through the network."""
        assert self.parts.explain is not None
        found = self.parts.explain(tf.cast(pixels, tf.float32))
        if found.logits is None:
            return self._members(pixels), found
        return tf.nn.softmax(found.logits), found._replace(logits=None)

    def _read(self, image_bytes: tf.Tensor) -> Images:
        return read_images(image_bytes, self.parts.size, self.parts.fit, self.parts.limits)

    @tf.function(autograph=False)
    def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `serving_default`."""
        images = self._read(image_bytes)
        if not self.parts.task.located:
            return self._prediction(images, self._members(images.pixels))
        members, found = self._explained(images.pixels)
        shown = shown_boxes(found, self.parts.box_threshold)
        return self._prediction(images, members) | boxes_in_pixels(shown, images, self.parts.fit)

    @tf.function(autograph=False)
    def explain(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `explain`."""
        images = self._read(image_bytes)
        members, found = self._explained(images.pixels)
        good = tf.equal(images.status, OK)[:, tf.newaxis, tf.newaxis]
        heat = displayed_heat(found.heat, images.sides, self.parts.fit, self.parts.size)
        return {
            **self._prediction(images, members),
            **boxes_in_pixels(shown_boxes(found, self.parts.box_threshold), images, self.parts.fit),
            "heatmap": tf.where(good, heat, 0.0),
            "image_height": images.sides[:, 0],
            "image_width": images.sides[:, 1],
        }

    def _prediction(self, images: Images, members: tf.Tensor) -> dict[str, tf.Tensor]:
        good = tf.equal(images.status, OK)
        probabilities, score = calibrate_probabilities(
            members, self.parts.task, self.parts.decision
        )
        index = predicted_class(
            probabilities, score, self.parts.task, self.parts.decision.threshold
        )
        decision = tf.where(good, decide(score, self.parts.decision), REJECTED)
        return {
            "probabilities": tf.where(good[:, tf.newaxis], probabilities, NO_NUMBER),
            "score": tf.where(good, score, NO_NUMBER),
            "decision": decision,
            "abstained": tf.equal(decision, REFER) | tf.equal(decision, REJECTED),
            "predicted_class": tf.where(good, tf.gather(self.classes, index), ""),
            "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(score)[0], 1]),
            "status": images.status,
        }

    @tf.function(autograph=False)
    def embed(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `embed`."""
        images = self._read(image_bytes)
        embedding = self.parts.features(tf.cast(images.pixels, tf.float32))
        good = tf.equal(images.status, OK)[:, tf.newaxis]
        return {"embedding": tf.where(good, embedding, 0.0), "status": images.status}

    @tf.function(autograph=False)
    def score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `examples`."""
        spec = {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        if self.parts.task.located:
            sides = (f.IMAGE_HEIGHT, f.IMAGE_WIDTH)
            spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in sides}
        parsed = tf.io.parse_example(examples, spec)
        encoded = parsed[f.IMAGE_ENCODED][:, tf.newaxis]
        pixels = self.parts.pixels_of(self.transform({f.IMAGE_ENCODED: encoded})[f.IMAGE_PNG])
        located: dict[str, tf.Tensor] = {}
        if self.parts.task.located:
            members, found = self._explained(pixels)
            height, width = parsed[f.IMAGE_HEIGHT], parsed[f.IMAGE_WIDTH]
            boxes = displayed_boxes(found, height, width, self.parts.fit, self.parts.size)
            flat = tf.reshape(boxes, [-1, 4 * boxes.shape[1]])
            located = {"boxes": flat, "box_scores": found.box_scores}
        else:
            members = self._members(pixels)
        probabilities, score = calibrate_probabilities(
            members, self.parts.task, self.parts.decision
        )
        return {
            "probabilities": probabilities,
            "score": score,
            "raw": tf.reduce_mean(members, axis=1),
            "members": tf.reshape(
                members, [tf.shape(members)[0], members.shape[1:].num_elements()]
            ),
            **located,
        }

    @tf.function(autograph=False)
    def label_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `labels`."""
        positive = positive_of(examples, self.parts.task)
        return {f.LABEL: tf.maximum(positive, 0), f.WEIGHT: tf.cast(positive >= 0, tf.float32)}

    @tf.function(autograph=False)
    def transform_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `transform_features`."""
        features = self.transform(tf.io.parse_example(examples, self.parts.raw_spec))
        # The edges of boxes, as many as the image with the most has; -1 after the last.
        return {
            name: tf.sparse.to_dense(value, -1.0) if isinstance(value, tf.SparseTensor) else value
            for name, value in features.items()
        }


def positive_of(examples: tf.Tensor, task: Task) -> tf.Tensor:
    """Records -> 1, 0, or -1 where the task does not define it; string [n] -> int64 [n]."""
    if task.located:
        edge = {f.BOX_YMIN: tf.io.RaggedFeature(tf.float32)}
        boxes = tf.io.parse_example(examples, edge)[f.BOX_YMIN].row_lengths()
        return tf.cast(boxes > 0, tf.int64)
    spec = {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
    pathogen = tf.io.parse_example(examples, spec)[f.PATHOGEN]
    found = tf.fill(tf.shape(pathogen), tf.constant(-1, tf.int64))
    for name in task.compatible:
        value = tf.constant(task.binary_label(name, 0), tf.int64)
        found = tf.where(tf.equal(pathogen, name), value, found)
    return found
