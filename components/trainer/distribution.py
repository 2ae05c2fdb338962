"""Which tf.distribute strategy training runs under."""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@functools.cache  # one for the process: a second one mixes up the keys of collective operations
def strategy_of(distribution: str) -> "tf.distribute.Strategy | None":
    """None for "none"; for "mirrored" a copy of the network on each accelerator of this machine.

    Without accelerators it runs on the logical processors, which is slower than "none" and good
    for tests alone.
    """
    import tensorflow as tf

    if distribution == "none":
        return None
    if tf.config.list_logical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    processors = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(
        processors, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
