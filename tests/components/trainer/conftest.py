"""Two logical processors, so that tf.distribute has something to distribute over."""

import contextlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def two_processors() -> None:
    import tensorflow as tf

    devices = tf.config.list_physical_devices("CPU")
    # RuntimeError: another test of this process has started TensorFlow already.
    with contextlib.suppress(RuntimeError):
        tf.config.set_logical_device_configuration(
            devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
