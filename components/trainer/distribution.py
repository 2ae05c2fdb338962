"""tf.distribute strategy over the accelerators of this machine."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from components.trainer.cluster import ALONE, Share

if TYPE_CHECKING:
    import tensorflow as tf


@functools.cache  # one for the process: a second one mixes up the keys of collective operations
def device_strategy() -> "tf.distribute.Strategy | None":
    """Returns a MirroredStrategy over the GPUs of this machine; None where there is at most one.

    Without GPUs the logical CPUs count, of which there is one unless a test makes more.
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


class Team:
    """One process, with or without several accelerators."""

    def __init__(self, distributed: bool = True) -> None:
        self.share: Share = ALONE
        self.strategy = device_strategy() if distributed else None
        self.chief = True

    def total(self, values: np.ndarray) -> np.ndarray:
        """Returns the values."""
        return values

    def tell(self, arrays: list[np.ndarray] | None) -> list[np.ndarray]:
        """Returns the arrays."""
        assert arrays is not None
        return arrays
