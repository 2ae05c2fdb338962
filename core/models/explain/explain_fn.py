"""Explain function of a classifier: heat map and weak boxes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.models.explain.cam import class_activation_map, is_linear
from core.models.explain.explanation import Explanation
from core.models.explain.gradcam import grad_cam
from core.models.explain.weak_boxes import DEFAULT_FRACTION, weak_boxes

if TYPE_CHECKING:
    import tensorflow as tf

    from core.models.classifier import ClassifierNetwork
    from core.models.decision_rule import DecisionRule
    from schema.labels import Task


def contribution_map(
    network: "ClassifierNetwork", activations: "list[tf.Tensor]", task: "Task"
) -> "tf.Tensor":
    """Returns the contribution of each position to the log-odds of the positive classes.

    The mean over the members; exact for heads without hidden layers, Grad-CAM for others. Maps of
    different backbones are resized to the finest grid; each keeps its total, so that the sum over
    positions remains a part of the log-odds.

    Args:
      network: backbone and members.
      activations: of each member, float32 [n, h, w, c].
      task: defines the positive classes.

    Returns:
      float32 [n, h, w] of the finest grid; negative where a position reduces the log-odds.
    """
    import tensorflow as tf

    maps = []
    for member, activation in zip(network.members, activations, strict=True):
        one = tf.cast(activation, tf.float32), network.pooling, task, member.temperature
        exact = is_linear(member.head)
        maps.append(
            class_activation_map(member.head, *one)[0] if exact else grad_cam(member.head, *one)
        )
    finest = max((one.shape[1:] for one in maps), key=lambda shape: shape.num_elements())
    return tf.add_n([_resize_map(one, finest) for one in maps]) / len(maps)


def _resize_map(contributions: "tf.Tensor", shape: "tf.TensorShape") -> "tf.Tensor":
    """Resizes maps [n, h, w] bilinearly to [n, *shape]; the sum of each is kept."""
    import tensorflow as tf

    before = contributions.shape[1:]
    if before == shape:
        return contributions
    total = tf.reduce_sum(contributions, axis=[1, 2], keepdims=True)
    resized = tf.image.resize(contributions[..., tf.newaxis], shape)[..., 0]
    resized *= before.num_elements() / shape.num_elements()
    # Bilinear resizing weights the outer cells differently; the rest is spread evenly.
    rest = total - tf.reduce_sum(resized, axis=[1, 2], keepdims=True)
    return resized + rest / shape.num_elements()


def heat_map(contributions: "tf.Tensor", score: "tf.Tensor") -> "tf.Tensor":
    """Converts contributions to heat in 0..1 whose maximum is the probability of the image.

    Negative contributions are ignored. Scaling by the calibrated probability keeps the map of a
    healthy chest cold; with a maximum of 1 in every image it would show a hot spot.

    Args:
      contributions: float32 [n, h, w].
      score: float32 [n], calibrated probability of the positive classes.

    Returns:
      float32 [n, h, w].
    """
    import tensorflow as tf

    positive = tf.nn.relu(contributions)
    largest = tf.reduce_max(positive, axis=[1, 2], keepdims=True)
    return tf.math.divide_no_nan(positive, largest) * score[:, tf.newaxis, tf.newaxis]


def reference_map(
    network: "ClassifierNetwork", task: "Task", pixels: np.ndarray, batch_size: int = 16
) -> np.ndarray:
    """Returns the mean contribution map of negative images.

    In every chest some positions (heart, spine) contribute to the log-odds, and the bias of the
    head compensates for them; only the difference from this reference is specific to an image. The
    decomposition of the log-odds stays exact: the subtracted sum is part of the bias.

    Args:
      network: backbone and members.
      task: defines the positive classes.
      pixels: uint8 [n, size, size, 1], n at least 1.
      batch_size: images per batch.

    Returns:
      float32 [h, w].
    """
    import tensorflow as tf

    # A traced function, because eager Keras keeps all activations of the backbone until it returns.
    run = tf.function(
        lambda batch: contribution_map(network, network.activations(batch), task),
        autograph=False,
        reduce_retracing=True,
    )
    total: np.ndarray | float = 0.0
    for start in range(0, len(pixels), batch_size):
        maps = run(tf.constant(np.asarray(pixels[start : start + batch_size]), tf.float32))
        total = total + maps.numpy().sum(axis=0, dtype=np.float64)
    return np.asarray(total / len(pixels), np.float32)


def build_explain_fn(
    network: "ClassifierNetwork",
    task: "Task",
    decision: "DecisionRule",
    fraction: float = DEFAULT_FRACTION,
    reference: np.ndarray | None = None,
) -> "Callable[[tf.Tensor], Explanation]":
    """Returns the `explain` function of a classifier for `serving.export.saved_model.export`.

    Args:
      network: backbone and members.
      task: defines the positive classes.
      decision: temperature and threshold; an image below the threshold has no boxes.
      fraction: threshold of weak boxes relative to the maximum heat, see `weak_boxes`.
      reference: see `reference_map`; it is subtracted from the contributions. None: nothing is.

    Returns:
      float32 [n, size, size, 1] in 0..255 -> heat, weak boxes and logits. The score of a box is the
      mean heat inside it.
    """

    def explain(pixels: "tf.Tensor") -> Explanation:
        import tensorflow as tf

        from core.models.decision_rule import calibrate_probabilities

        activations = network.activations(pixels)
        # The heat map is that of the whole image; score and decision those of all views.
        logits = network(pixels) if network.views else network.logits_of(activations)
        _, score = calibrate_probabilities(tf.nn.softmax(logits), task, decision)
        contributions = contribution_map(network, activations, task)
        if reference is not None:
            contributions -= reference
        heat = heat_map(contributions, score)
        boxes, scores = weak_boxes(heat, fraction)
        positive = (score >= decision.threshold)[:, tf.newaxis]
        boxes = tf.where(positive[..., tf.newaxis], boxes, 0.0)
        return Explanation(heat, boxes, tf.where(positive, scores, -1.0), logits)

    return explain
