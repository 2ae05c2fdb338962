"""Calibrated probabilities and the decision at the operating point, in TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from core.images.rules import CONTENT_STATUSES
from schema.labels import Task

POSITIVE, NEGATIVE, REFER, REJECTED = "POSITIVE", "NEGATIVE", "REFER", "REJECTED"


@dataclass(frozen=True)
class DecisionRule:
    """Temperature, threshold and referral band.

    Attributes:
      temperature: divides the logarithm of the ensemble's probabilities (Guo et al., 2017).
      threshold: scores at or above it are positive.
      band: (low, high); scores in [low, high) are referred. None: nothing is referred.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    band: Sequence[float] | None = None


def calibrate_probabilities(
    members: tf.Tensor, task: Task, decision: DecisionRule
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies temperature scaling to the mean of the members' probabilities.

    Args:
      members: float32 [n, members, classes].
      task: its positive classes define the score.
      decision: supplies the temperature.

    Returns:
      Calibrated probabilities [n, classes], and the score [n], the probability of the positive
      classes.
    """
    mean = tf.reduce_mean(members, axis=1)
    log = tf.math.log(tf.maximum(mean, 1e-12))
    probabilities = tf.nn.softmax(log / decision.temperature)
    score = tf.reduce_sum(tf.gather(probabilities, task.positive, axis=1), axis=1)
    return probabilities, tf.clip_by_value(score, 0.0, 1.0)


def predicted_class(
    probabilities: tf.Tensor, score: tf.Tensor, task: Task, threshold: float
) -> tf.Tensor:
    """Returns the most probable class among those on the side of the threshold, int32 [n]."""
    positive = tf.constant([i in task.positive for i in range(len(task.classes))])
    allowed = tf.equal(positive[tf.newaxis], (score >= threshold)[:, tf.newaxis])
    return tf.argmax(tf.where(allowed, probabilities, -1.0), axis=-1, output_type=tf.int32)


def decide(score: tf.Tensor, decision: DecisionRule) -> tf.Tensor:
    """Returns POSITIVE, NEGATIVE or REFER for each score, string [n]."""
    side = tf.where(score >= decision.threshold, POSITIVE, NEGATIVE)
    if decision.band is None:
        return side
    low, high = decision.band
    return tf.where((score >= low) & (score < high), REFER, side)


def decision_without_score(status: tf.Tensor) -> tf.Tensor:
    """Returns the decision for images that have no score.

    Args:
      status: string [n], see `core.images.validate_tf.DecodedBatch`.

    Returns:
      REFER for an image that was decoded but is no radiograph, otherwise REJECTED; string [n].
    """
    refer = tf.reduce_any(tf.equal(status[:, tf.newaxis], tf.constant(CONTENT_STATUSES)), axis=1)
    return tf.where(refer, REFER, REJECTED)
