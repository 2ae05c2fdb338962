"""The module behind the SavedModel: one method for each signature."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from core.images.rules import OK, ImageLimits
from core.images.validate_tf import DecodedBatch, decode_batch
from core.models.decision_rule import (
    REFER,
    REJECTED,
    DecisionRule,
    calibrate_probabilities,
    decide,
    decision_without_score,
    predicted_class,
)
from schema import features as f
from schema.labels import Task
from serving.export.display_coordinates import (
    box_outputs,
    displayed_heat,
    keep_boxes_above,
    relative_boxes,
)

if TYPE_CHECKING:
    from core.models.explain.explanation import Explanation

NO_NUMBER = -1.0  # for a missing probability, because JSON has no NaN
Layer = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class GraphParts:
    """Functions and constants of the graph; see `serving.export.saved_model.export`.

    A separate object, because tf.Module saves every Keras object among its own attributes.
    """

    network: Layer
    features: Layer
    decode_png: Layer
    raw_spec: dict[str, Any]
    task: Task
    decision: DecisionRule
    limits: ImageLimits
    size: int
    fit: str
    explain: "Callable[[tf.Tensor], Explanation] | None"
    box_threshold: float


class ServingModule(tf.Module):
    """Holds the functions of all signatures and the variables they use.

    Args:
      parts: functions and constants.
      transform: the Transform graph.
      variables: variables of the network. The Keras object tree is not saved: it makes saving
        several times slower, and nothing reads it back.
    """

    def __init__(
        self,
        parts: GraphParts,
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        variables: Sequence[tf.Variable],
    ) -> None:
        super().__init__(name="radiograph")
        self.parts, self.transform, self.network_variables = parts, transform, variables
        self.classes = tf.constant(parts.task.classes)

    # Separate functions, so that all signatures share one copy of the network.
    @tf.function(autograph=False)
    def _members(self, pixels: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self.parts.network(tf.cast(pixels, tf.float32)))

    @tf.function(autograph=False)
    def _explained_members(self, pixels: tf.Tensor) -> "tuple[tf.Tensor, Explanation]":
        """Computes member probabilities, heat maps and boxes in one pass if possible."""
        assert self.parts.explain is not None
        explanation = self.parts.explain(tf.cast(pixels, tf.float32))
        if explanation.logits is None:
            return self._members(pixels), explanation
        return tf.nn.softmax(explanation.logits), explanation._replace(logits=None)

    def _decode(self, image_bytes: tf.Tensor) -> DecodedBatch:
        return decode_batch(image_bytes, self.parts.size, self.parts.fit, self.parts.limits)

    @tf.function(autograph=False)
    def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `serving_default`."""
        images = self._decode(image_bytes)
        if not self.parts.task.located:
            return self._prediction(images, self._members(images.pixels))
        members, explanation = self._explained_members(images.pixels)
        return self._prediction(images, members) | self._boxes(images, explanation)

    @tf.function(autograph=False)
    def explain(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `explain`."""
        images = self._decode(image_bytes)
        members, explanation = self._explained_members(images.pixels)
        valid = tf.equal(images.status, OK)[:, tf.newaxis, tf.newaxis]
        heat = displayed_heat(explanation.heat, images.sides, self.parts.fit, self.parts.size)
        return {
            **self._prediction(images, members),
            **self._boxes(images, explanation),
            "heatmap": tf.where(valid, heat, 0.0),
            "image_height": images.sides[:, 0],
            "image_width": images.sides[:, 1],
        }

    def _boxes(self, images: DecodedBatch, explanation: "Explanation") -> dict[str, tf.Tensor]:
        above = keep_boxes_above(explanation, self.parts.box_threshold)
        return box_outputs(above, images, self.parts.fit)

    def _prediction(self, images: DecodedBatch, members: tf.Tensor) -> dict[str, tf.Tensor]:
        valid = tf.equal(images.status, OK)
        probabilities, score = calibrate_probabilities(
            members, self.parts.task, self.parts.decision
        )
        index = predicted_class(
            probabilities, score, self.parts.task, self.parts.decision.threshold
        )
        decision = tf.where(
            valid, decide(score, self.parts.decision), decision_without_score(images.status)
        )
        return {
            "probabilities": tf.where(valid[:, tf.newaxis], probabilities, NO_NUMBER),
            "score": tf.where(valid, score, NO_NUMBER),
            "decision": decision,
            "abstained": tf.equal(decision, REFER) | tf.equal(decision, REJECTED),
            "predicted_class": tf.where(valid, tf.gather(self.classes, index), ""),
            "classes": tf.tile(self.classes[tf.newaxis], [tf.shape(score)[0], 1]),
            "status": images.status,
            "reason": images.reason,
        }

    @tf.function(autograph=False)
    def embed(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `embed`."""
        images = self._decode(image_bytes)
        embedding = self.parts.features(tf.cast(images.pixels, tf.float32))
        valid = tf.equal(images.status, OK)[:, tf.newaxis]
        embedding = tf.where(valid, embedding, 0.0)
        return {"embedding": embedding, "status": images.status, "reason": images.reason}

    @tf.function(autograph=False)
    def score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `examples`."""
        spec = {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        if self.parts.task.located:
            sides = (f.IMAGE_HEIGHT, f.IMAGE_WIDTH)
            spec |= {name: tf.io.FixedLenFeature([], tf.int64) for name in sides}
        parsed = tf.io.parse_example(examples, spec)
        encoded = parsed[f.IMAGE_ENCODED][:, tf.newaxis]
        pixels = self.parts.decode_png(self.transform({f.IMAGE_ENCODED: encoded})[f.IMAGE_PNG])
        located: dict[str, tf.Tensor] = {}
        if self.parts.task.located:
            members, explanation = self._explained_members(pixels)
            height, width = parsed[f.IMAGE_HEIGHT], parsed[f.IMAGE_WIDTH]
            boxes = relative_boxes(explanation, height, width, self.parts.fit, self.parts.size)
            flat = tf.reshape(boxes, [-1, 4 * boxes.shape[1]])
            located = {"boxes": flat, "box_scores": explanation.box_scores}
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
        positive = positive_label(examples, self.parts.task)
        return {f.LABEL: tf.maximum(positive, 0), f.WEIGHT: tf.cast(positive >= 0, tf.float32)}

    @tf.function(autograph=False)
    def transform_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `transform_features`."""
        features = self.transform(tf.io.parse_example(examples, self.parts.raw_spec))
        # Box edges are padded with -1 to the largest number of boxes of an image.
        return {
            name: tf.sparse.to_dense(value, -1.0) if isinstance(value, tf.SparseTensor) else value
            for name, value in features.items()
        }


def positive_label(examples: tf.Tensor, task: Task) -> tf.Tensor:
    """Computes the binary label of records.

    Args:
      examples: serialized records, string [n].
      task: defines the positive classes.

    Returns:
      int64 [n]: 1 for positive, 0 for negative, -1 for a record outside the task.
    """
    if task.located:
        edge = {f.BOX_YMIN: tf.io.RaggedFeature(tf.float32)}
        boxes = tf.io.parse_example(examples, edge)[f.BOX_YMIN].row_lengths()
        return tf.cast(boxes > 0, tf.int64)
    spec = {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
    pathogen = tf.io.parse_example(examples, spec)[f.PATHOGEN]
    label = tf.fill(tf.shape(pathogen), tf.constant(-1, tf.int64))
    for name in task.compatible:
        value = tf.constant(task.binary_label(name, 0), tf.int64)
        label = tf.where(tf.equal(pathogen, name), value, label)
    return label
