"""tf.distribute strategy over the accelerators of this machine."""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@functools.cache
def device_strategy() -> "tf.distribute.Strategy | None":
    """Returns a MirroredStrategy over the GPUs of this machine; None if there are fewer than two.

    Without GPUs, logical CPUs are used: there is one, unless a test configures more.
    """
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    if len(devices) < 2:
        return None
    if gpus:
        return tf.distribute.MirroredStrategy(devices)
    return tf.distribute.MirroredStrategy(
        devices, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
