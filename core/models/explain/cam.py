"""Class activation maps: the contribution of each position to the log-odds.

Zhou et al. (2016), "Learning Deep Features for Discriminative Localization": a linear layer on
pooled features is a sum over positions, so its output can be decomposed exactly. Here the log-odds
of the positive classes are decomposed, for any number of classes:

  log-odds = logsumexp(z of positive) - logsumexp(z of negative) = v . z + H(p) - H(q)

with p and q the softmax within the positive and the negative classes, v = p on the positive and -q
on the negative classes, and H the entropy. With one class on each side, v is constant and both
entropies are 0. v is also the gradient of the log-odds, so the map equals that of Grad-CAM.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from schema.labels import Task


def is_linear(head: "keras.Model") -> bool:
    """Returns whether a head of `build_head` has no hidden layer, so that its map is exact."""
    names = {layer.name for layer in head.layers}
    return not any(name.startswith("dense_") for name in names)


def log_odds(logits: "tf.Tensor", task: "Task") -> "tf.Tensor":
    """Returns the log-odds of the positive classes, [n], from logits float32 [n, classes]."""
    import tensorflow as tf

    positive, negative = (
        tf.gather(logits, list(classes), axis=1) for classes in (task.positive, task.negative)
    )
    return tf.reduce_logsumexp(positive, axis=1) - tf.reduce_logsumexp(negative, axis=1)


def class_activation_map(
    head: "keras.Model",
    activation: "tf.Tensor",
    pooling: str,
    task: "Task",
    temperature: float = 1.0,
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns the exact map of a head without hidden layers.

    Of a two-stage head with another temperature than 1, that of its first stage.

    Args:
      head: of `core.models.head.build_head`, one stage or two.
      activation: float32 [n, h, w, c], before pooling.
      pooling: avg, max or both.
      task: defines the positive classes.
      temperature: divides the logits.

    Returns:
      Map float32 [n, h, w] and bias float32 [n]; the sum of the map plus the bias is the log-odds.

    Raises:
      ValueError: the head has a hidden layer.
    """
    import tensorflow as tf

    from core.models.head import pool

    if not is_linear(head):
        raise ValueError("a head with hidden layers has no class activation map; use Grad-CAM")
    layers = {layer.name: layer for layer in head.layers}
    offset = tf.constant(layers["center"].offset, tf.float32)
    scale = tf.constant(layers["scale"].scale, tf.float32)
    last = layers.get("stages", layers.get("logits"))
    assert last is not None
    kernel, intercept = (tf.cast(x, tf.float32) / temperature for x in (last.kernel, last.bias))
    outputs = (pool(activation, pooling) + offset) * scale @ kernel + intercept
    if "stages" in layers:
        # The first stage is the log-odds; the second only divides the positive classes.
        vector = tf.one_hot(tf.zeros_like(outputs[:, 0], tf.int32), outputs.shape[1])
        entropy = tf.zeros_like(outputs[:, 0])
    else:
        vector, entropy = _linearize(outputs, task)
    weight = vector @ tf.transpose(kernel)  # [n, d], of the standardized features
    bias = tf.linalg.matvec(weight, offset * scale) + tf.linalg.matvec(vector, intercept)
    return distribute(activation, weight * scale, pooling), bias + entropy


def _linearize(logits: "tf.Tensor", task: "Task") -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns v [n, classes] and H(p) - H(q) [n] of the module docstring."""
    import tensorflow as tf

    vector: Any = tf.zeros_like(logits)
    entropy: Any = tf.zeros_like(logits[:, 0])
    for sign, classes in ((1.0, task.positive), (-1.0, task.negative)):
        mask = tf.constant([i in classes for i in range(len(task.classes))])
        log = tf.nn.log_softmax(tf.where(mask, logits, -1e30))
        share = tf.where(mask, tf.exp(log), 0.0)
        vector += sign * share
        entropy -= sign * tf.reduce_sum(tf.where(mask, share * log, 0.0), axis=1)
    return vector, entropy


def distribute(activation: "tf.Tensor", weight: "tf.Tensor", pooling: str) -> "tf.Tensor":
    """Decomposes `weight . pool(activation)` into contributions of the positions.

    All positions contribute to an average; only the positions of the maximum, in equal parts, to a
    maximum.

    Args:
      activation: float32 [n, h, w, c].
      weight: float32 [n, c], or [n, 2 c] for both (average first).
      pooling: avg, max or both.

    Returns:
      float32 [n, h, w]; the sum over positions is the product.
    """
    import tensorflow as tf

    height, width, channels = activation.shape[1:]
    parts: list[Any] = []
    if pooling != "max":
        parts.append(tf.einsum("nhwc,nc->nhw", activation, weight[:, :channels]) / (height * width))
    if pooling != "avg":
        largest = tf.reduce_max(activation, axis=[1, 2], keepdims=True)
        is_largest = tf.cast(tf.equal(activation, largest), tf.float32)
        is_largest /= tf.reduce_sum(is_largest, axis=[1, 2], keepdims=True)
        weighted = weight[:, -channels:] * largest[:, 0, 0]
        parts.append(tf.einsum("nhwc,nc->nhw", is_largest, weighted))
    return tf.add_n(parts)
