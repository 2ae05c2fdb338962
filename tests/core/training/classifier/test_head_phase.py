from pathlib import Path

import keras
import numpy as np
import pytest

from core.models.classifier import feature_moments
from core.models.head import select_pooling
from core.models.options import ModelOptions
from core.training.classifier.head_phase import fit_head
from core.training.data.targets import class_targets
from core.training.loop.batches import LabeledRows
from core.training.loop.curves import OutputPaths
from core.training.options import TrainingOptions
from schema.labels import BINARY, TWO_STAGE, Task


def blobs(n: int, seed: int, task: Task) -> LabeledRows:
    rng = np.random.default_rng(seed)
    names = np.array(["normal", "bacteria", "virus", "bacteria"])[np.arange(n) % 4]
    features = rng.normal(size=(n, 12)).astype(np.float32) * 100
    features[:, 0] += 800 * (names != "normal")
    features[:, 1] += 800 * (names == "virus")
    features[:, 5] = 7.0  # a constant feature
    targets = class_targets(names, task)
    return LabeledRows((features,), targets, np.ones(n, np.float32), np.arange(n))


def fit(
    seed: int = 0, task: Task = BINARY, outputs: OutputPaths | None = None, epochs: int = 12
) -> tuple[keras.Model, dict]:
    data, val = blobs(200, 1, task), blobs(60, 2, task)
    options = TrainingOptions(epochs=epochs, batch_size=16, learning_rate=0.02)
    scaling = feature_moments(select_pooling(data.views[0], "avg"))
    model = ModelOptions(dense=(4,), dropout=0.1)
    head, curves = fit_head(data, val, scaling, task, model, options, seed, outputs)
    return head, curves.to_dict()


@pytest.mark.parametrize("task", [BINARY, TWO_STAGE], ids=lambda task: task.name)
def test_separable_classes_are_learned(tmp_path: Path, task: Task) -> None:
    head, curves = fit(task=task, outputs=OutputPaths(tmp_path / "states", tmp_path / "logs"))
    val = blobs(60, 2, task)
    logits = head.predict(select_pooling(val.views[0], "avg"), verbose=0)
    assert (logits.argmax(1) == val.targets.argmax(1)).mean() > 0.95
    assert curves["val_accuracy"][curves["best_epoch"] - 1] > 0.95
    assert (tmp_path / "states" / "head-0.npz").is_file()
    assert list((tmp_path / "logs" / "head").rglob("events.out.tfevents.*"))


def test_result_depends_on_the_seed_only() -> None:
    first, curves = fit(epochs=2)
    keras.layers.Dense(3).build((None, 2))
    second, again = fit(epochs=2)
    _, other = fit(seed=1, epochs=2)
    assert curves == again
    assert curves != other
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_moments_of_a_constant_feature() -> None:
    mean, deviation = feature_moments(np.full((5, 2), 3.0, np.float16))
    np.testing.assert_array_equal(mean, [3, 3])
    np.testing.assert_array_equal(deviation, [1, 1])


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_moments_do_not_depend_on_the_batch_size(rows: int) -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    mean, deviation = feature_moments(features, rows)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, features.std(axis=0), rtol=1e-5)
