"""Checks that two replicas train like one: python -m tests.core.training.loop.mirrored.

Runs as a separate process, because logical devices must be configured before TensorFlow starts.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def rows(x: np.ndarray) -> Any:
    from core.training.loop.batches import LabeledRows

    labels = np.eye(2, dtype=np.float32)[np.arange(len(x)) % 2]
    return LabeledRows((x,), labels, np.ones(len(x), np.float32), np.arange(len(x)))


def small_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    hidden = keras.layers.Dense(8, activation="relu")(x)
    return keras.Model(x, keras.layers.Dense(2, kernel_regularizer="l2")(hidden))


def trained(strategy: Any, images: int) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Trains a small network in batches of 8; returns its weights and curves."""
    from core.training.classifier.losses import class_objective
    from core.training.loop.batches import data_from_rows
    from core.training.loop.fit import fit_model
    from core.training.loop.optimizer import OptimizerOptions
    from core.training.options import TrainingOptions

    data = rows(np.random.default_rng(0).normal(size=(images, 4)).astype(np.float32))
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = small_network()
    curves = fit_model(
        model,
        data_from_rows(data, data, 0, 8),
        class_objective(TrainingOptions()),
        OptimizerOptions(0.02, 0.01, "cosine", 0.2, average=0.9),
        epochs=3,
        patience=9,
        phase="test",
        seed=0,
        validator=small_network() if strategy else None,
    )
    return model.get_weights(), curves.values


def check_fine_tuning(folder: Path) -> None:
    """Fails unless the float32 network that is returned is the one that was validated."""
    from core.models.head import build_head, pool
    from core.models.options import ModelOptions
    from core.training.classifier.fine_tuning import BackboneConfig, fine_tune
    from core.training.loop.batches import data_from_rows
    from core.training.loop.curves import OutputPaths
    from core.training.options import FineTuneOptions, TrainingOptions

    data = rows(np.random.default_rng(0).normal(size=(16, 1, 1, 1024)).astype(np.float32))
    head = build_head(np.zeros(1024, np.float32), np.ones(1024, np.float32), 2, ModelOptions())
    upper, top, curves = fine_tune(
        BackboneConfig("MobileNet", 32, None, "conv_pw_12_relu", 1),
        head,
        data_from_rows(data, data, 0, 8),
        "avg",
        FineTuneOptions(epochs=1, batch_size=8),
        TrainingOptions(),
        0,
        OutputPaths(folder / "states", folder / "logs"),
    )
    logits = top(pool(upper(data.views[0], training=False), "avg"), training=False).numpy()
    loss = -(data.targets * tf.nn.log_softmax(logits).numpy()).sum(axis=1).mean()
    np.testing.assert_allclose(curves.values["val_loss"], [loss], rtol=1e-3)
    assert np.abs(logits).max() > 0  # a new head predicts 0


def main() -> None:
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from core.training.loop.distribution import device_strategy

    strategy = device_strategy()
    assert strategy is not None
    assert strategy.num_replicas_in_sync == 2
    # The gradient of a batch is the sum of its halves; only the order of additions differs.
    (weights, curves), (mirrored_weights, mirrored_curves) = (
        trained(None, 24),
        trained(strategy, 24),
    )
    for name, values in curves.items():
        np.testing.assert_allclose(mirrored_curves[name], values, rtol=1e-4, err_msg=name)
    for a, b in zip(weights, mirrored_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    # A replica without an image of the last batch would make the loss NaN.
    _, mirrored_curves = trained(strategy, 25)
    assert np.isfinite(mirrored_curves["loss"]).all()
    with tempfile.TemporaryDirectory() as name:
        check_fine_tuning(Path(name))
    print("mirrored: equal")


if __name__ == "__main__":
    main()
