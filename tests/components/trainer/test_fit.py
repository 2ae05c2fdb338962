import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.batches import Rows
from components.trainer.checkpoint import Checkpoint
from components.trainer.fit import Places, Ready, Trunk, fine_tune, fit_head, write_history
from components.trainer.head import pool, select
from components.trainer.loop import Curves
from components.trainer.losses import targets_of
from components.trainer.network import moments
from components.trainer.options import FineTuneOptions, ModelOptions, TrainingOptions
from components.trainer.sources import image_source, rows_source
from schema import features as f
from schema.labels import BINARY, TWO_STAGE, Task

TRUNK = Trunk("MobileNetV2", 32, None, "block_16_expand", seed=1)
MODEL = ModelOptions(dense=(4,), dropout=0.1)


def blobs(n: int, seed: int, of: Task = BINARY) -> Rows:
    rng = np.random.default_rng(seed)
    names = np.array(["normal", "bacteria", "virus", "bacteria"])[np.arange(n) % 4]
    features = rng.normal(size=(n, 12)).astype(np.float32) * 100
    features[:, 0] += 800 * (names != "normal")
    features[:, 1] += 800 * (names == "virus")
    features[:, 5] = 7.0  # a feature that never changes
    targets = targets_of(names, of)
    return Rows((features,), targets, np.ones(n, np.float32), np.arange(n))


def places(folder: Path) -> Places:
    return Places(folder / "checkpoints", folder / "logs")


def train(folder: Path, seed: int = 0, of: Task = BINARY) -> tuple[keras.Model, dict]:
    data, val = blobs(200, 1, of), blobs(60, 2, of)
    options = TrainingOptions(epochs=12, batch_size=16, learning_rate=0.02)
    scaling = moments(select(data.views[0], "avg"))
    head, curves = fit_head(data, val, scaling, of, MODEL, options, seed, places(folder))
    return head, curves.to_dict()


@pytest.mark.parametrize("of", [BINARY, TWO_STAGE], ids=lambda of: of.name)
def test_learns_what_can_be_learned(tmp_path: Path, of: Task) -> None:
    head, curves = train(tmp_path, of=of)
    val = blobs(60, 2, of)
    logits = head.predict(select(val.views[0], "avg"), verbose=0)
    assert (logits.argmax(1) == val.targets.argmax(1)).mean() > 0.95
    assert curves["best_epoch"] == 1 + int(np.argmin(curves["val_loss"]))
    assert list((tmp_path / "logs").rglob("events.out.tfevents.*"))
    stored = Checkpoint(tmp_path / "checkpoints" / "head-0.npz").load()
    assert stored is not None  # a phase after this one may be killed
    assert sum(array.size for array in stored[0]) == sum(
        v.value.numpy().size for v in head.variables
    )


def test_the_same_seed_gives_the_same_head_whatever_was_built_before(tmp_path: Path) -> None:
    first, curves = train(tmp_path / "a")
    keras.layers.Dense(3).build((None, 2))
    second, again = train(tmp_path / "b")
    _, other = train(tmp_path / "c", seed=1)
    assert curves == again
    assert curves != other
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_head_that_is_traced_already_learns_as_a_new_one() -> None:
    data, val = blobs(200, 1), blobs(60, 2)
    scaling = moments(select(data.views[0], "avg"))
    small, normed = MODEL, ModelOptions(dense=(4,), dropout=0.5, batch_norm=True)
    ready: Ready = {}
    found: list[dict] = []
    for model, rate, decay in (
        (small, 0.02, 0.0), (normed, 0.02, 0.1), (small, 0.005, 0.3), (normed, 0.02, 0.0),
        (small, 0.02, 0.0),
    ):  # fmt: skip
        options = TrainingOptions(epochs=4, batch_size=16, learning_rate=rate, weight_decay=decay)
        task = data, val, scaling, BINARY, model, options, 0
        expected, curves = fit_head(*task)
        head, told = fit_head(*task, ready=ready)
        found.append(told.to_dict())
        assert found[-1] == curves.to_dict()
        for a, b in zip(head.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert ready.keys() == {small, normed}
    assert found[1] != found[3]  # decay alone differs
    assert found[0] == found[4]


def test_moments_of_a_constant_feature() -> None:
    mean, deviation = moments(np.full((5, 2), 3.0, np.float16))
    np.testing.assert_array_equal(mean, [3, 3])
    np.testing.assert_array_equal(deviation, [1, 1])


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_moments_do_not_depend_on_the_size_of_the_parts(rows: int) -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    mean, deviation = moments(features, rows)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, features.std(axis=0), rtol=1e-5)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (24, 32, 32, 1))
    images[::2, 8:24, 8:24] += 120
    return images.astype(np.uint8)


def labels() -> np.ndarray:
    return targets_of(np.array(["bacteria", "normal"] * 12), BINARY)


def untrained_head() -> keras.Model:
    data = np.random.default_rng(0).normal(size=(24, 1280)).astype(np.float32)
    options = TrainingOptions(epochs=1)
    rows = Rows(
        (np.concatenate([data, data], 1),), labels(), np.ones(24, np.float32), np.arange(24)
    )
    return fit_head(rows, rows, moments(data), BINARY, ModelOptions(), options, 0)[0]


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
@pytest.mark.parametrize("source_of", ["cache", "images"])
def test_what_lies_above_the_cut_learns_and_nothing_below(
    pixels: np.ndarray, tmp_path: Path, source_of: str, compute: str
) -> None:
    lower, upper = TRUNK.split()
    assert upper is not None
    below, above = lower.get_weights(), upper.get_weights()
    ones = np.ones(24, np.float32)
    maps = lower.predict(pixels.astype(np.float32), verbose=0)
    if source_of == "cache":
        rows = Rows((maps,), labels(), ones, np.arange(24))
        source = rows_source(rows, rows, 0, 8)
    else:
        names = [b"bacteria", b"normal"] * 12

        def stream(_: int | None) -> object:
            for start in range(0, 24, 8):
                chosen = tf.constant(names[start : start + 8])
                yield tf.constant(pixels[start : start + 8]), {f.PATHOGEN: chosen}

        source = image_source(
            stream, lambda of: (targets_of(of, BINARY), np.ones(len(of), np.float32)), 3, 32
        )
    options = FineTuneOptions(
        source=source_of, epochs=3, batch_size=8, learning_rate=1e-3, compute=compute
    )
    learned, head, curves = fine_tune(
        TRUNK, untrained_head(), source, "avg", options,
        TrainingOptions(), 0, places(tmp_path),
    )  # fmt: skip
    assert len(curves) == 3
    again, _ = TRUNK.split()
    for a, b in zip(below, again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    changed = {
        path.rsplit("/", 1)[-1]
        for path, a, b in zip(
            [w.path for w in learned.weights], above, learned.get_weights(), strict=True
        )
        if not np.array_equal(a, b)
    }
    assert {"kernel", "gamma", "beta"} >= changed >= {"kernel"}
    assert not {"moving_mean", "moving_variance"} & changed  # frozen batch norm
    logits = head(pool(learned(maps, training=False), "avg"), training=False).numpy()
    log_p = tf.nn.log_softmax(logits).numpy()
    assert -(labels() * log_p).sum(1).mean() == pytest.approx(
        min(curves.values["val_loss"]), rel=1e-3
    )
    assert {layer.compute_dtype for layer in learned.layers} == {"float32"}


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_learns_from_small_views_and_answers_on_whole_images(tmp_path: Path, compute: str) -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 120, (24, 64, 64, 1), np.uint8)
    whole[::2, 16:48, 16:48] += 120
    views = whole[:, ::2, ::2]

    def stream(epoch: int | None) -> object:
        shown = whole if epoch is None else views
        names = tf.constant([b"bacteria", b"normal"] * 4)
        for start in range(0, 24, 8):
            yield tf.constant(shown[start : start + 8]), {f.PATHOGEN: names}

    def known(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return targets_of(names, BINARY), np.ones(len(names), np.float32)

    trunk = Trunk("MobileNetV2", 64, None, TRUNK.cut, seed=1)
    options = FineTuneOptions(
        source="images", view_size=32, epochs=3, batch_size=8, learning_rate=1e-3,
        compute=compute, average=0.5,
    )  # fmt: skip
    learned, head, curves = fine_tune(
        trunk, untrained_head(), image_source(stream, known, 3, 64, view_size=32), "avg", options,
        TrainingOptions(), 0, places(tmp_path),
    )  # fmt: skip
    lower, before = trunk.split()
    assert before is not None
    assert learned.input_shape == before.input_shape
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(before.get_weights(), learned.get_weights(), strict=True)
    ]
    assert any(changed)
    maps = lower.predict(whole.astype(np.float32), verbose=0)
    logits = head(pool(learned(maps, training=False), "avg"), training=False).numpy()
    loss = -(labels() * tf.nn.log_softmax(logits).numpy()).sum(1).mean()
    assert loss == pytest.approx(min(curves.values["val_loss"]), rel=1e-3)


def test_bfloat16_learns_nearly_the_same(pixels: np.ndarray, tmp_path: Path) -> None:
    lower, upper = TRUNK.split()
    assert upper is not None
    rows = Rows(
        (lower.predict(pixels.astype(np.float32), verbose=0),),
        labels(), np.ones(24, np.float32), np.arange(24),
    )  # fmt: skip
    start = np.concatenate([w.ravel() for w in upper.get_weights()])
    moved = []
    for compute in ("float32", "bfloat16"):
        options = FineTuneOptions(epochs=2, batch_size=8, learning_rate=1e-3, compute=compute)
        learned, _, _ = fine_tune(
            TRUNK, untrained_head(), rows_source(rows, rows, 0, 8), "avg", options,
            TrainingOptions(), 0, places(tmp_path / compute),
        )  # fmt: skip
        moved.append(np.concatenate([w.ravel() for w in learned.get_weights()]) - start)
    assert not np.array_equal(*moved)
    assert np.corrcoef(moved)[0, 1] > 0.9


def test_nothing_above_the_top_can_learn(tmp_path: Path) -> None:
    trunk = Trunk("MobileNetV2", 32, None, "top", 0)
    rows = Rows((np.ones((4, 2), np.float32),), labels()[:4], np.ones(4, np.float32), np.arange(4))
    with pytest.raises(ValueError, match="nothing lies above the cut"):
        fine_tune(
            trunk, untrained_head(), rows_source(rows, rows, 0, 2), "avg", FineTuneOptions(),
            TrainingOptions(), 0, places(tmp_path),
        )  # fmt: skip


def test_history_keeps_every_phase(tmp_path: Path) -> None:
    of = Curves({"val_loss": [1.0, 0.5], "loss": [1.0, 0.6]}, 2)
    written = write_history(tmp_path, 3, {"head": of, "fine_tune": Curves({"val_loss": [0.4]}, 1)})
    assert json.loads((tmp_path / "history" / "3.json").read_text()) == written
    assert written["val_loss"] == [0.4]
    assert written["phases"]["head"]["best_epoch"] == 2
