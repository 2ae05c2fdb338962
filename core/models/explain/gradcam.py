"""Grad-CAM, for heads with hidden layers.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization": each channel is weighed by the gradient of the answer. The gradient is taken of the
pooled features, and so through the head alone. After an average that is the paper's weight; a
maximum gives its weight to the place where it is (as in HiResCAM, Draelos & Carin 2020), where the
paper's mean over places would smear it over places that changed nothing.
"""

from typing import TYPE_CHECKING

from core.models.explain.cam import log_odds, spread

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from schema.labels import Task


def grad_cam(head: "keras.Model", activation: "tf.Tensor", pooling: str, of: "Task") -> "tf.Tensor":
    """The map of any head; the first-order part of what `class_activation_map` gives exactly.

    Args:
      head: pooled features -> logits [n, classes].
      activation: float32 [n, h, w, c], what is pooled.
      pooling: avg, max or both.
      of: the task; the log-odds of its positive classes are explained.

    Returns:
      float32 [n, h, w].
    """
    import tensorflow as tf

    from core.models.head import pool

    pooled = pool(activation, pooling)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(pooled)
        odds = log_odds(tf.cast(head(pooled, training=False), tf.float32), of)
    return spread(activation, tape.gradient(odds, pooled), pooling)
