import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.batches import Rows
from components.trainer.checkpoint import Checkpoint
from components.trainer.distribution import Team
from components.trainer.learner import Group, Learner
from components.trainer.loop import Curves, Plan, train
from components.trainer.sources import rows_source
from components.trainer.steps import clipped


def blobs(n: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    x = rng.normal(size=(n, 4)).astype(np.float32) + 4 * np.eye(4, dtype=np.float32)[label]
    targets = np.eye(3, dtype=np.float32)[label]
    return Rows((x,), targets, np.ones(n, np.float32), np.arange(n))


def network(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x = keras.Input((4,))
    hidden = keras.layers.Dropout(0.3, seed=5)(keras.layers.Dense(8, activation="relu")(x))
    return keras.Model(x, keras.layers.Dense(3, kernel_regularizer="l2")(hidden))


def run(model: keras.Model, epochs: int = 6, **options: object) -> Curves:
    group = Group(model.trainable_variables, 0.02, 0.01)
    plan = Plan(
        epochs=epochs, patience=options.pop("patience", 100), schedule="cosine", warmup=0.2,
        clip_norm=options.pop("clip_norm", None), average=options.pop("average", None),
    )  # fmt: skip
    source = options.pop("source", None) or rows_source(blobs(120, 1), blobs(45, 2), 3, 16)
    of = {name: options.pop(name) for name in ("objective", "judge", "team") if name in options}
    learner = Learner.of(model, [group], source, plan, **of)
    return train(learner, source, plan, what="test", **options)


def test_learns_and_ends_at_the_best_epoch() -> None:
    model = network()
    curves = run(model, 15)
    val = blobs(45, 2)
    logits = model(val.views[0], training=False).numpy()
    assert (logits.argmax(1) == val.targets.argmax(1)).mean() > 0.9
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(val.targets, logits)
    assert float(loss) == pytest.approx(min(curves.values["val_loss"]), rel=1e-4)
    assert curves.best_epoch == 1 + int(np.argmin(curves.values["val_loss"]))
    assert all(len(values) == 15 for values in curves.values.values())


def test_the_same_seed_gives_the_same_network() -> None:
    first, second, other = network(), network(), network(1)
    a, b, c = run(first), run(second), run(other)
    assert a == b
    assert a != c
    for x, y in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_average_is_judged_and_kept() -> None:
    """Against an average made by hand: after each step of one epoch, from the first one on."""
    source = rows_source(blobs(48, 1), blobs(45, 2), 3, 16)
    steps = []
    for stop in (1, 2, 3):  # the same steps, seen after each
        model = network()
        some = replace(source, epoch=lambda e, n=stop: itertools.islice(source.epoch(e), n))
        run(model, 1, source=some)
        steps.append(model.get_weights())
    model = network()
    curves = run(model, 1, source=source, average=0.75)
    for got, one, two, three in zip(model.get_weights(), *steps, strict=True):
        expected = 0.75 * (0.75 * one + 0.25 * two) + 0.25 * three
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    val = blobs(45, 2)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(
        val.targets, model(val.views[0], training=False)
    )
    assert curves.values["val_loss"] == [pytest.approx(float(loss), rel=1e-4)]


@pytest.mark.parametrize("norm", [1e-3, 0.5, 1e9])
def test_a_gradient_is_no_longer_than_the_limit(norm: float) -> None:
    parts = [tf.constant([3.0, 0.0]), tf.constant([[4.0]])]
    short = [part.numpy() for part in clipped(parts, norm, None)]
    length = np.sqrt(sum((part**2).sum() for part in short))
    assert length == pytest.approx(min(norm, 5.0))
    np.testing.assert_allclose(short[1][0, 0] / short[0][0], 4 / 3, rtol=1e-6)
    zero = clipped([tf.zeros(2)], norm, None)[0]
    np.testing.assert_array_equal(zero, [0, 0])


class Stopped(Exception):
    pass


@pytest.mark.parametrize("smooth", [{}, {"clip_norm": 0.5, "average": 0.9}])
@pytest.mark.parametrize("at", [1, 4])
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(
    tmp_path: Path, at: int, smooth: dict[str, float]
) -> None:
    whole = network()
    expected = run(whole, **smooth)
    file = tmp_path / "state.npz"

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == at + 1:
            raise Stopped  # after epoch `at` was saved

    with pytest.raises(Stopped):
        run(network(), checkpoint=Checkpoint(file, every=0.0), on_epoch=stop, **smooth)
    seen: list[int] = []
    resumed = network()
    curves = run(
        resumed,
        checkpoint=Checkpoint(file, every=0.0),
        on_epoch=lambda epoch, _: seen.append(epoch),
        **smooth,
    )
    assert seen == list(range(at + 1, 7))
    assert curves == expected
    assert curves.earlier > 0  # seconds
    for x, y in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("stacked", [2, 3, 16])
def test_batches_in_one_call_teach_what_they_teach_one_by_one(stacked: int) -> None:
    """120 images in batches of 16: seven, and one of half the size."""
    networks = network(), network()
    one, several = (
        run(
            of,
            clip_norm=0.5,
            average=0.9,
            source=rows_source(blobs(120, 1), blobs(45, 2), 3, 16, stacked=number),
        )
        for of, number in zip(networks, (1, stacked), strict=True)
    )
    assert one.values["loss"] == several.values["loss"]
    assert one.best_epoch == several.best_epoch
    # Validation comes in larger batches, and is added up in another order.
    assert one.values["val_loss"] == pytest.approx(several.values["val_loss"], rel=1e-5)
    for x, y in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("patience", [1, 100])
def test_what_has_ended_is_not_trained_again(tmp_path: Path, patience: int) -> None:
    """By its patience or by its epochs; what came after it may have been killed."""
    state = Checkpoint(tmp_path / "state.npz", every=3600.0)
    first, second = network(), network()
    curves = run(first, patience=patience, checkpoint=state)
    assert run(second, patience=patience, checkpoint=state, on_epoch=_never) == curves
    for x, y in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def _never(epoch: int, _: dict[str, float]) -> None:
    raise AssertionError(f"epoch {epoch} was trained again")


def test_stops_when_validation_gets_no_better() -> None:
    noise = blobs(45, 2)
    wrong = Rows(noise.views, np.roll(noise.targets, 1, axis=1), noise.weights, noise.rows)
    curves = run(network(), 200, patience=3, source=rows_source(blobs(120, 1), wrong, 3, 16))
    assert len(curves) == curves.best_epoch + 3


def test_groups_learn_at_their_own_rate_and_the_rest_stays() -> None:
    model = network()
    before = [w.copy() for w in model.get_weights()]
    source = rows_source(blobs(120, 1), blobs(45, 2), 3, 16)
    last = model.layers[-1].trainable_variables
    learner = Learner.of(model, [Group(last, 0.01, 0.0)], source, Plan(2, 5))
    train(learner, source, Plan(2, 5), what="test")
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[-2], after[-2])


def test_a_loss_that_is_no_number_is_an_error() -> None:
    bad = blobs(30, 1)
    bad.views[0][3] = np.nan
    x = keras.Input((4,))
    linear = keras.Model(x, keras.layers.Dense(3)(x))  # a ReLU would make 0 of NaN
    with pytest.raises(ValueError, match="not a number in epoch 1; lower the"):
        run(linear, source=rows_source(bad, blobs(9, 2), 0, 8))


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(1, 1), [1.0, 1.0, 1.0, 1.0]),
        (Plan(1, 1, schedule="cosine"), [1.0, 0.853553, 0.5, 0.146447]),
        (Plan(1, 1, warmup=0.5), [1 / 3, 2 / 3, 1.0, 1.0]),
    ],
)
def test_schedule(plan: Plan, expected: list[float]) -> None:
    assert [plan.factor(i, 4) for i in range(4)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("smooth", [{}, {"clip_norm": 0.1, "average": 0.9}])
def test_two_replicas_learn_what_one_learns(
    smooth: dict[str, float], request: pytest.FixtureRequest
) -> None:
    """Two logical processors; the gradient of a batch is the sum of its halves."""
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:  # a test of another folder started TensorFlow before the conftest.py here
        assert "PNEUMO_TEST_ALONE" not in os.environ
        alone = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", request.node.nodeid],
            env={**os.environ, "PNEUMO_TEST_ALONE": "1"}, cwd=request.config.rootpath,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert alone.returncode == 0, alone.stdout[-4000:]
        return
    team = Team()
    strategy = team.strategy
    assert strategy.num_replicas_in_sync == 2

    def small() -> keras.Model:
        keras.utils.set_random_seed(0)
        x = keras.Input((4,))
        return keras.Model(x, keras.layers.Dense(3, kernel_regularizer="l2")(x))

    one = small()
    expected = run(one, 3, **smooth)
    with strategy.scope():
        two = small()
        curves = run(two, 3, team=team, **smooth)
    for name, values in expected.values.items():
        np.testing.assert_allclose(curves.values[name], values, rtol=1e-4)
    for x, y in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
