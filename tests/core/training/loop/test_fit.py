import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.training.classifier.losses import partial_cross_entropy
from core.training.loop.batches import LabeledRows, TrainingData, data_from_rows
from core.training.loop.checkpoint import Checkpoint
from core.training.loop.curves import Objective, OutputPaths, TrainingCurves, write_histories
from core.training.loop.fit import fit_model
from core.training.loop.optimizer import DiscriminativeAdamW, OptimizerOptions, learning_rate

OPTIONS = OptimizerOptions(0.02, 0.01, "cosine", warmup=0.2)
OBJECTIVE = Objective(partial_cross_entropy, partial_cross_entropy)


def blobs(n: int, seed: int) -> LabeledRows:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    x = rng.normal(size=(n, 4)).astype(np.float32) + 4 * np.eye(4, dtype=np.float32)[label]
    targets = np.eye(3, dtype=np.float32)[label]
    return LabeledRows((x,), targets, np.ones(n, np.float32), np.arange(n))


DATA = data_from_rows(blobs(120, 1), blobs(45, 2), 3, 16)


def network(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x = keras.Input((4,))
    hidden = keras.layers.Dropout(0.3, seed=5)(keras.layers.Dense(8, activation="relu")(x))
    return keras.Model(x, keras.layers.Dense(3, kernel_regularizer="l2")(hidden))


def run(
    model: keras.Model,
    epochs: int = 5,
    data: TrainingData = DATA,
    folder: Path | None = None,
    options: OptimizerOptions = OPTIONS,
    **options_of_fit: Any,
) -> TrainingCurves:
    outputs = OutputPaths(folder / "states", folder / "logs") if folder else None
    arguments: dict[str, Any] = {"patience": 100, "phase": "test", "seed": 0, **options_of_fit}
    return fit_model(model, data, OBJECTIVE, options, epochs=epochs, outputs=outputs, **arguments)


def assert_equal_weights(one: keras.Model, other: keras.Model) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Killed(Exception):
    pass


def killed_in(data: TrainingData, epoch: int) -> TrainingData:
    """Raises instead of returning the first batch of an epoch, counted from 0."""
    first_step, calls = epoch * data.steps, iter(range(10**6))

    def count(*batch: Any) -> Any:
        import tensorflow as tf

        def raise_at_epoch() -> np.int32:
            if next(calls) >= first_step:
                raise Killed
            return np.int32(0)

        with tf.control_dependencies([tf.numpy_function(raise_at_epoch, [], tf.int32)]):
            return tuple(tf.identity(part) for part in batch)

    return replace(data, epochs=lambda first, end: data.epochs(first, end).map(count))


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, clip_norm=0.5, average=0.9)])
def test_killed_run_resumes_with_the_same_result(
    tmp_path: Path, options: OptimizerOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pneumo.fit")
    whole, resumed, finished = network(), network(), network()
    expected = run(whole, options=options)
    with pytest.raises(Exception, match="Killed"):
        run(network(), data=killed_in(DATA, 3), folder=tmp_path, options=options)
    curves = run(resumed, folder=tmp_path, options=options)
    assert "test, seed 0 resumes after epoch" in caplog.text
    assert curves == expected
    assert curves.earlier_seconds > 0
    assert_equal_weights(whole, resumed)
    # A finished phase is not trained again.
    stored = Checkpoint(tmp_path / "states" / "test-0.npz").load()
    assert stored is not None
    assert [array.shape for array in stored[0]] == [w.shape for w in whole.get_weights()]
    assert run(finished, data=killed_in(DATA, 0), folder=tmp_path, options=options) == expected
    assert_equal_weights(whole, finished)
    assert len(list((tmp_path / "logs" / "test").rglob("events.out.tfevents.*"))) >= 2


def test_restores_the_best_epoch_and_is_reproducible() -> None:
    model, again = network(), network()
    curves = run(model, 8, small=True)
    val = blobs(45, 2)
    logits = model(val.views[0], training=False).numpy()
    assert (logits.argmax(1) == val.targets.argmax(1)).mean() > 0.9
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(val.targets, logits)
    assert float(loss) == pytest.approx(min(curves.values["val_loss"]), rel=1e-4)
    assert curves.best_epoch == 1 + int(np.argmin(curves.values["val_loss"]))
    assert all(len(values) == 8 for values in curves.values.values())
    assert set(curves.values) == {"loss", "val_loss", "learning_rate"}
    # Eight steps in one call give the same result as single steps.
    assert run(again, 8) == curves
    assert_equal_weights(model, again)


def test_average_of_the_weights_is_validated_and_kept() -> None:
    """The expected average is computed from the weights after each step of one epoch."""
    options = OptimizerOptions(0.02, 0.01, "constant")
    steps = []
    for stop in (1, 2, 3):
        model = network()
        some = replace(DATA, images=stop * 16)
        run(model, 1, some, options=options)
        steps.append(model.get_weights())
    model = network()
    run(model, 1, replace(DATA, images=48), options=replace(options, average=0.75))
    for got, one, two, three in zip(model.get_weights(), *steps, strict=True):
        expected = 0.75 * (0.75 * one + 0.25 * two) + 0.25 * three
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_early_stopping() -> None:
    noise = blobs(45, 2)
    wrong = replace(noise, targets=np.roll(noise.targets, 1, axis=1))
    curves = run(
        network(), 200, data_from_rows(blobs(120, 1), wrong, 3, 16), patience=3, small=True
    )
    assert len(curves) == curves.best_epoch + 3


def test_loss_that_is_not_finite() -> None:
    bad = blobs(30, 1)
    bad.views[0][3] = np.nan
    x = keras.Input((4,))
    linear = keras.Model(x, keras.layers.Dense(3)(x))  # a ReLU would turn NaN into 0
    with pytest.raises(ValueError, match="test, seed 0: the loss is not finite in epoch 1; low"):
        run(linear, data=data_from_rows(bad, blobs(9, 2), 0, 8))


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0.0, [1, 1, 1, 1]),
        ("cosine", 0.0, [1, 0.853553, 0.5, 0.146447]),
        ("constant", 0.5, [0, 0.5, 1, 1]),
        ("cosine", 0.5, [0, 0.5, 1, 0.5]),
    ],
)
def test_schedule(schedule: str, warmup: float, expected: list[float]) -> None:
    rate = learning_rate(OptimizerOptions(2.0, 0.0, schedule, warmup), 4)
    rates = [float(rate(step)) if callable(rate) else rate for step in range(4)]
    assert rates == pytest.approx([2 * value for value in expected], abs=1e-6)


def test_learning_rate_factor() -> None:
    """Each variable is updated like AdamW with its own learning rate, including decay."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(2)]
    gradients = [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(2)]
    one, other = (keras.Variable(value, name="kernel") for value in values)
    both = DiscriminativeAdamW(0.1, 0.5, lambda variable: 0.1 if variable is one else 1.0)
    both.build([one, other])
    for _ in range(3):
        both.apply(gradients)
    for updated, value, gradient, rate in zip(
        (one, other), values, gradients, (0.01, 0.1), strict=True
    ):
        variable = keras.Variable(value, name="kernel")
        alone = keras.optimizers.AdamW(rate, weight_decay=0.5)
        alone.build([variable])
        for _ in range(3):
            alone.apply([gradient])
        np.testing.assert_allclose(updated.numpy(), variable.numpy(), rtol=1e-5)


def test_histories_contain_every_phase(tmp_path: Path) -> None:
    head = TrainingCurves({"val_loss": [1.0, 0.5], "loss": [1.0, 0.6]}, 2)
    fine, dense = TrainingCurves({"val_loss": [0.4]}, 1), TrainingCurves({"val_loss": [9.0]}, 1)
    phases = {"head": head, "fine_tune": fine, "detector": dense}
    write_histories(tmp_path, {3: phases, 4: {"head": head}})
    written = json.loads((tmp_path / "history" / "3.json").read_text())
    assert json.loads((tmp_path / "history.json").read_text()) == written
    assert written["val_loss"] == [0.4]
    assert written["phases"]["head"]["best_epoch"] == 2
    assert json.loads((tmp_path / "history" / "4.json").read_text())["val_loss"] == [1.0, 0.5]
