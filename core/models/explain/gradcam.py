"""Grad-CAM, for heads with hidden layers.

Selvaraju et al. (2017), "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization": each channel is weighted by the gradient of the output. The gradient is taken with
respect to the pooled features, so only through the head. For average pooling this is the weight of
the paper; for max pooling the weight goes to the position of the maximum (as in HiResCAM, Draelos &
Carin, 2020), while the mean of the paper would distribute it over positions without influence.
"""

from typing import TYPE_CHECKING

from core.models.explain.cam import distribute, log_odds

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from schema.labels import Task


def grad_cam(
    head: "keras.Model",
    activation: "tf.Tensor",
    pooling: str,
    task: "Task",
    temperature: float = 1.0,
) -> "tf.Tensor":
    """Returns the first-order contribution of each position to the log-odds, for any head.

    Args:
      head: pooled features -> logits [n, classes].
      activation: float32 [n, h, w, c], before pooling.
      pooling: avg, max or both.
      task: defines the positive classes.
      temperature: divides the logits.

    Returns:
      float32 [n, h, w].
    """
    import tensorflow as tf

    from core.models.head import pool

    pooled = pool(activation, pooling)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(pooled)
        odds = log_odds(tf.cast(head(pooled, training=False), tf.float32) / temperature, task)
    return distribute(activation, tape.gradient(odds, pooled), pooling)
