"""What the SavedModel of a classifier says of places."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.models.explain.cam import class_activation_map, is_linear
from core.models.explain.explanation import Explanation
from core.models.explain.gradcam import grad_cam
from core.models.explain.weak_boxes import PART, weak_boxes

if TYPE_CHECKING:
    import tensorflow as tf

    from core.models.classifier import ClassifierNetwork
    from core.models.decision_rule import DecisionRule
    from schema.labels import Task


def evidence(
    network: "ClassifierNetwork", activations: "list[tf.Tensor]", of: "Task"
) -> "tf.Tensor":
    """What each place adds to the log-odds of the positive classes, mean over the members.

    Exact where a head has no hidden layer, Grad-CAM elsewhere.

    Args:
      network: backbone and members.
      activations: of each member, float32 [n, h, w, c].
      of: the task.

    Returns:
      float32 [n, h, w]; negative where a place speaks against.
    """
    import tensorflow as tf

    maps = []
    for member, found in zip(network.members, activations, strict=True):
        given = member.head, tf.cast(found, tf.float32), network.pooling, of
        exact = is_linear(member.head)
        maps.append(class_activation_map(*given)[0] if exact else grad_cam(*given))
    return tf.add_n(maps) / len(maps)


def heat_map(evidence: "tf.Tensor", score: "tf.Tensor") -> "tf.Tensor":
    """Evidence -> heat, 0..1: the hottest place of an image is as hot as the image is probable.

    What speaks against is left out. A map that reached 1 in every image would show a hot place in
    the healthiest chest; so it is scaled by the image's calibrated probability.

    Args:
      evidence: float32 [n, h, w].
      score: float32 [n], calibrated probability of the positive classes.

    Returns:
      float32 [n, h, w].
    """
    import tensorflow as tf

    positive = tf.nn.relu(evidence)
    most = tf.reduce_max(positive, axis=[1, 2], keepdims=True)
    return tf.math.divide_no_nan(positive, most) * score[:, tf.newaxis, tf.newaxis]


def reference_map(
    network: "ClassifierNetwork", of: "Task", pixels: np.ndarray, batch: int = 16
) -> np.ndarray:
    """The mean evidence of images without a finding: what to expect at each place.

    In every chest some places (heart, spine) speak for or against, and the head's bias makes up for
    it. Only what differs from that tells this image from others. The log-odds are still taken apart
    without a rest: what is subtracted from the map belongs to the bias.

    Args:
      network: backbone and members.
      of: the task.
      pixels: uint8 [n, size, size, 1], n at least 1.
      batch: images at once.

    Returns:
      float32 [h, w].
    """
    import tensorflow as tf

    # Called eagerly, Keras would hold every activation of the backbone until the end of the call.
    ask = tf.function(
        lambda given: evidence(network, network.activations(given), of),
        autograph=False,
        reduce_retracing=True,
    )
    total: np.ndarray | float = 0.0
    for start in range(0, len(pixels), batch):
        maps = ask(tf.constant(np.asarray(pixels[start : start + batch]), tf.float32))
        total = total + maps.numpy().sum(axis=0, dtype=np.float64)
    return np.asarray(total / len(pixels), np.float32)


def build_explain_fn(
    network: "ClassifierNetwork",
    of: "Task",
    decision: "DecisionRule",
    part: float = PART,
    reference: np.ndarray | None = None,
) -> "Callable[[tf.Tensor], Explanation]":
    """What `serving.export.saved_model.export` takes as `explain`.

    Args:
      network: backbone and members.
      of: the task.
      decision: what validation fixed; an image below the operating point has no boxes.
      part: of the hottest place, see `weak_boxes`.
      reference: of `reference_map`; the heat is of what goes beyond it. None: of all evidence.

    Returns:
      float32 [n, size, size, 1] in 0..255 -> heat, weak boxes and logits. A box's score is the
      mean heat of its hot places: the image's probability times their mean relative evidence.
    """

    def explain(pixels: "tf.Tensor") -> Explanation:
        import tensorflow as tf

        from core.models.decision_rule import calibrate_probabilities

        activations = network.activations(pixels)
        logits = network.logits_of(activations)
        _, score = calibrate_probabilities(tf.nn.softmax(logits), of, decision)
        found = evidence(network, activations, of)
        heat = heat_map(found if reference is None else found - reference, score)
        boxes, scores = weak_boxes(heat, part)
        called = (score >= decision.threshold)[:, tf.newaxis]
        boxes = tf.where(called[..., tf.newaxis], boxes, 0.0)
        return Explanation(heat, boxes, tf.where(called, scores, -1.0), logits)

    return explain
