"""Class activation maps: what each place of the last activation adds to the log-odds.

Zhou et al. 2016, "Learning Deep Features for Discriminative Localization": a linear layer on pooled
features is a sum over places, so its answer can be taken apart without a rest. Here it is the
log-odds of the positive classes to the others that is taken apart, whatever the number of classes:

  log-odds = logsumexp(z of positive) - logsumexp(z of the others) = v . z + H(p) - H(q)

with p and q the softmax within each side, v = p on the positive and -q on the other side, and H the
entropy. With one class on each side v is constant and both entropies are 0. v is also the gradient
of the log-odds, so that this map is Grad-CAM's where both are defined.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from schema.labels import Task


def is_linear(head: "keras.Model") -> bool:
    """Whether a head of `build_head` has no hidden layer: then its map is exact."""
    names = {layer.name for layer in head.layers}
    return not any(name.startswith("dense_") for name in names)


def log_odds(logits: "tf.Tensor", of: "Task") -> "tf.Tensor":
    """Logits float32 [n, classes] -> log-odds of the positive classes to the others, [n]."""
    import tensorflow as tf

    sides = [tf.gather(logits, list(side), axis=1) for side in (of.positive, of.negative)]
    return tf.reduce_logsumexp(sides[0], axis=1) - tf.reduce_logsumexp(sides[1], axis=1)


def class_activation_map(
    head: "keras.Model", activation: "tf.Tensor", pooling: str, of: "Task"
) -> "tuple[tf.Tensor, tf.Tensor]":
    """The exact map of a head without hidden layers.

    Args:
      head: of `core.models.head.build_head`, one stage or two.
      activation: float32 [n, h, w, c], what is pooled.
      pooling: avg, max or both.
      of: the task; its positive classes are explained.

    Returns:
      map float32 [n, h, w] and bias float32 [n]: the map's sum plus the bias is the log-odds.

    Raises:
      ValueError: the head has a hidden layer.
    """
    import tensorflow as tf

    from core.models.head import pool

    if not is_linear(head):
        raise ValueError("a head with hidden layers has no class activation map; use Grad-CAM")
    layers = {layer.name: layer for layer in head.layers}
    offset = tf.constant(layers["centre"].offset, tf.float32)
    scale = tf.constant(layers["scale"].scale, tf.float32)
    last = layers.get("stages", layers.get("logits"))
    assert last is not None
    kernel, intercept = tf.cast(last.kernel, tf.float32), tf.cast(last.bias, tf.float32)
    answers = (pool(activation, pooling) + offset) * scale @ kernel + intercept
    if "stages" in layers:
        # The first stage is the log-odds itself; the second shares out the positive side alone.
        vector = tf.one_hot(tf.zeros_like(answers[:, 0], tf.int32), answers.shape[1])
        rest = tf.zeros_like(answers[:, 0])
    else:
        vector, rest = _sides(answers, of)
    weight = vector @ tf.transpose(kernel)  # [n, d], of the centred and scaled features
    bias = tf.linalg.matvec(weight, offset * scale) + tf.linalg.matvec(vector, intercept)
    return spread(activation, weight * scale, pooling), bias + rest


def _sides(answers: "tf.Tensor", of: "Task") -> "tuple[tf.Tensor, tf.Tensor]":
    """v [n, classes] and H(p) - H(q) [n]; see the module."""
    import tensorflow as tf

    vector: Any = tf.zeros_like(answers)
    rest: Any = tf.zeros_like(answers[:, 0])
    for sign, side in ((1.0, of.positive), (-1.0, of.negative)):
        within = tf.constant([i in side for i in range(len(of.classes))])
        log = tf.nn.log_softmax(tf.where(within, answers, -1e30))
        share = tf.where(within, tf.exp(log), 0.0)
        vector += sign * share
        rest -= sign * tf.reduce_sum(tf.where(within, share * log, 0.0), axis=1)
    return vector, rest


def spread(activation: "tf.Tensor", weight: "tf.Tensor", pooling: str) -> "tf.Tensor":
    """Takes `weight . pool(activation)` apart into places.

    An average comes from all places alike; a maximum from where it is, in equal parts where it is
    in several.

    Args:
      activation: float32 [n, h, w, c].
      weight: float32 [n, c], or [n, 2 c] for both (average first).
      pooling: avg, max or both.

    Returns:
      float32 [n, h, w], whose sum is the product.
    """
    import tensorflow as tf

    height, width, channels = activation.shape[1:]
    parts: list[Any] = []
    if pooling != "max":
        parts.append(tf.einsum("nhwc,nc->nhw", activation, weight[:, :channels]) / (height * width))
    if pooling != "avg":
        largest = tf.reduce_max(activation, axis=[1, 2], keepdims=True)
        at = tf.cast(tf.equal(activation, largest), tf.float32)
        at /= tf.reduce_sum(at, axis=[1, 2], keepdims=True)
        weighted = weight[:, -channels:] * largest[:, 0, 0]
        parts.append(tf.einsum("nhwc,nc->nhw", at, weighted))
    return tf.add_n(parts)
