"""Two replicas learn what one learns: python -m tests.components.trainer.mirrored.

A process of its own, because logical devices are configured before TensorFlow starts. The gradient
of a batch is the sum of its halves; only the order of additions differs.
"""

import tempfile
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf


def head_without_dropout() -> keras.Model:
    from components.trainer.head import build_head
    from components.trainer.options import ModelOptions

    rng = np.random.default_rng(3)
    mean, deviation = np.zeros(1024, np.float32), np.full(1024, 0.01, np.float32)
    head = build_head(mean, deviation, 2, ModelOptions(dropout=0.0, l2=1e-3))
    head.layers[-1].kernel.assign(rng.normal(size=(1024, 2)) * 0.01)
    return head


def fine_tuned(folder: Path, images: int) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Weights and curves of a small network; batches of 8, the last one may be of one image."""
    from components.trainer.batches import Rows, from_rows
    from components.trainer.curves import Outputs
    from components.trainer.fine_tuning import BackboneSpec, fine_tune
    from components.trainer.options import FineTuneOptions, TrainingOptions

    maps = np.random.default_rng(0).normal(size=(images, 1, 1, 1024)).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[np.arange(images) % 2]
    rows = Rows((maps,), labels, np.ones(images, np.float32), np.arange(images))
    upper, top, curves = fine_tune(
        BackboneSpec("MobileNet", 32, None, "conv_pw_12_relu", 1), head_without_dropout(),
        from_rows(rows, rows, 0, 8), "avg",
        FineTuneOptions(epochs=2, batch_size=8, learning_rate=1e-3, average=0.9),
        TrainingOptions(), 0, Outputs(folder / "states", folder / "logs"),
    )  # fmt: skip
    return [*upper.get_weights(), *top.get_weights()], curves.values


def main() -> None:
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from components.trainer import fine_tuning
    from components.trainer.distribution import device_strategy

    strategy = device_strategy()
    assert strategy is not None
    assert strategy.num_replicas_in_sync == 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with patch.object(fine_tuning, "device_strategy", lambda: None):
            weights, curves = fine_tuned(folder / "one", 24)
        both, found = fine_tuned(folder / "two", 24)
        for metric, values in curves.items():
            np.testing.assert_allclose(found[metric], values, rtol=1e-4, err_msg=metric)
        for a, b in zip(weights, both, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
        # A replica without an image of the last batch would make the loss NaN.
        _, found = fine_tuned(folder / "uneven", 25)
        assert np.isfinite(found["loss"]).all()
    print("mirrored: equal")


if __name__ == "__main__":
    main()
