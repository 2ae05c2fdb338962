"""Calibrated probabilities and the decision at the operating point, in TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from schema.labels import Task

POSITIVE, NEGATIVE, REFER, REJECTED = "POSITIVE", "NEGATIVE", "REFER", "REJECTED"


@dataclass(frozen=True)
class DecisionRule:
    """Calibration and operating point.

    Attributes:
      temperature: the logarithm of the ensemble's probabilities is divided by it (Guo et al. 2017).
      threshold: a score at or above it is positive.
      band: scores from the first to below the second are referred to a person; None: no band.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    band: Sequence[float] | None = None


def calibrate_probabilities(
    members: tf.Tensor, task: Task, decision: DecisionRule
) -> tuple[tf.Tensor, tf.Tensor]:
    """Members' probabilities [n, m, c] -> calibrated [n, c], and the score [n]."""
    mean = tf.reduce_mean(members, axis=1)
    log = tf.math.log(tf.maximum(mean, 1e-12))
    probabilities = tf.nn.softmax(log / decision.temperature)
    score = tf.reduce_sum(tf.gather(probabilities, task.positive, axis=1), axis=1)
    return probabilities, tf.clip_by_value(score, 0.0, 1.0)


def predicted_class(
    probabilities: tf.Tensor, score: tf.Tensor, task: Task, threshold: float
) -> tf.Tensor:
    """The most probable class among those that agree with the decision, int32 [n]."""
    side = tf.constant([i in task.positive for i in range(len(task.classes))])
    allowed = tf.equal(side[tf.newaxis], (score >= threshold)[:, tf.newaxis])
    return tf.argmax(tf.where(allowed, probabilities, -1.0), axis=-1, output_type=tf.int32)


def decide(score: tf.Tensor, decision: DecisionRule) -> tf.Tensor:
    """POSITIVE, NEGATIVE or REFER, string [n]."""
    called = tf.where(score >= decision.threshold, POSITIVE, NEGATIVE)
    if decision.band is None:
        return called
    low, high = decision.band
    return tf.where((score >= low) & (score < high), REFER, called)
