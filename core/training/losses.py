"""Losses over partial labels: an image may be known to belong to one of several classes."""

from typing import TYPE_CHECKING

import numpy as np

from core.training.loop.curves import Objective
from core.training.options import TrainingOptions
from schema.labels import Task

if TYPE_CHECKING:
    import tensorflow as tf


def class_targets(pathogens: np.ndarray, task: Task, boxes: np.ndarray | None = None) -> np.ndarray:
    """Compatible classes, float32 [n, classes] of 0 and 1; all zeros: outside the task.

    Args:
      pathogens: str [n].
      task: gives the classes.
      boxes: int [n], how many each image has; none: no image has any.
    """
    marked = np.zeros(len(pathogens), bool) if boxes is None else np.asarray(boxes) > 0
    known = list(zip(pathogens.tolist(), marked.tolist(), strict=True))
    rows = {record: np.zeros(len(task.classes), np.float32) for record in set(known)}
    for record, row in rows.items():
        row[list(task.compatible_classes(*record))] = 1.0
    if not known:
        return np.zeros((0, len(task.classes)), np.float32)
    return np.stack([rows[record] for record in known])


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Weights that make every class count the same: n / (classes * n_c) (King & Zeng 2001).

    Args:
      counts: images of each class, [classes], all above 0.
    """
    return np.asarray(counts.sum() / (len(counts) * counts))


def example_weights(targets: np.ndarray, balanced: bool) -> np.ndarray:
    """Weight of each image in the loss, float32 [n].

    Balanced: `class_weights`, from the images of one class; an image of several compatible classes
    gets the mean of theirs.

    Raises:
      ValueError: balanced, and a class has no image of its own.
    """
    if not balanced:
        return np.ones(len(targets), np.float32)
    alone = targets[targets.sum(axis=1) == 1]
    counts = alone.sum(axis=0)
    if not len(alone) or not counts.all():
        raise ValueError(f"each class needs an image to learn from; counts are {counts.tolist()}")
    weights = (targets @ class_weights(counts)) / np.maximum(targets.sum(axis=1), 1)
    return np.asarray(weights, np.float32)


def partial_cross_entropy(
    targets: "tf.Tensor",
    logits: "tf.Tensor",
    *,
    label_smoothing: float = 0.0,
    focal_gamma: float | None = None,
) -> "tf.Tensor":
    """-log of the probability that the model gives to the compatible classes together.

    With one class it is the usual cross entropy. With several it is the likelihood of a coarsened
    label (Heitjan & Rubin 1991): of pneumonia of unknown pathogen, only "bacteria or virus" is
    learned. For a two-stage head it is the sum of the losses of the stages that the label tells.

    Args:
      targets: float32 [n, classes] of 0 and 1, a 1 in each row.
      logits: float32 [n, classes].
      label_smoothing: part of the target that is spread over all classes (Szegedy et al. 2016).
      focal_gamma: exponent of the focal factor (1 - p)^gamma (Lin et al. 2017); none: no factor.

    Returns:
      float32 [n].
    """
    import tensorflow as tf

    log_p = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    # A large negative number and not -inf: the gradient of logsumexp over -inf is NaN.
    masked = tf.where(targets > 0, log_p, tf.constant(-1e9, tf.float32))
    log_set = tf.reduce_logsumexp(masked, axis=-1)
    # Rounding may end above 0. Not tf.minimum, which turns NaN into 0 and hides it.
    log_set = tf.where(log_set > 0, 0.0, log_set)
    loss = -log_set
    if focal_gamma is not None:
        # Above zero: the gradient of 0^gamma is NaN for gamma below 1.
        loss *= tf.pow(tf.maximum(1.0 - tf.exp(log_set), 1e-7), focal_gamma)
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * tf.reduce_mean(log_p, axis=-1)
    return loss


def class_objective(options: TrainingOptions) -> Objective:
    """Loss of classes from logits as the options ask; validation by the plain cross entropy."""

    def loss(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
        return partial_cross_entropy(
            targets,
            logits,
            label_smoothing=options.label_smoothing,
            focal_gamma=options.focal_gamma if options.loss == "focal" else None,
        )

    return Objective(loss, partial_cross_entropy, {"accuracy": _hit})


def _hit(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """1 where the likeliest class is compatible."""
    import tensorflow as tf

    return tf.gather(targets, tf.argmax(logits, axis=-1), axis=1, batch_dims=1)
