import json
from pathlib import Path

import keras
import numpy as np
import pytest

from components.trainer.embed import Embedded
from components.trainer.fit import balanced_weights, fit_head
from components.trainer.head import build_head
from components.trainer.options import ModelOptions, TrainingOptions
from components.trainer.run_fn import moments


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([0, 1], 2, {0: 1.0, 1: 1.0}),
        ([0, 1, 1, 1], 2, {0: 2.0, 1: 2 / 3}),
        ([0, 1, 2], 3, {0: 1.0, 1: 1.0, 2: 1.0}),
    ],
)
def test_balanced_weights(labels: list[int], classes: int, expected: dict[int, float]) -> None:
    weights = balanced_weights(np.array(labels), classes)
    assert weights == pytest.approx(expected)
    counts = np.bincount(labels)
    total = [weights[c] * counts[c] for c in range(classes)]
    assert total == pytest.approx([total[0]] * classes)


@pytest.mark.parametrize(("labels", "classes"), [([], 2), ([0, 0], 2), ([1], 2), ([0, 1, 2], 2)])
def test_a_class_without_examples_is_an_error(labels: list[int], classes: int) -> None:
    with pytest.raises(ValueError, match="counts are"):
        balanced_weights(np.array(labels, np.int64), classes)


def blobs(n: int, seed: int) -> Embedded:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 4 == 0).astype(np.int64)
    features = rng.normal(size=(n, 6)).astype(np.float32) * 100
    features[:, 0] += 800 * labels
    features[:, 5] = 7.0  # a feature that never changes
    return Embedded(features, labels, 0.0)


def train(folder: Path, seed: int = 0, **changes: object) -> tuple[keras.Model, dict]:
    keras.utils.set_random_seed(seed)
    data, val = blobs(200, 1), blobs(60, 2)
    options = ModelOptions(dense=(4,))
    head = build_head(*moments(data.features), 2, options)
    training = TrainingOptions(epochs=12, batch_size=16, learning_rate=0.02, **changes)
    fitted = fit_head(head, data, val, training, folder)
    return head, fitted.history


def test_learns_what_can_be_learned_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    head, history = train(tmp_path)
    val = blobs(60, 2)
    logits = head.predict(val.features, verbose=0)
    assert (logits.argmax(1) == val.labels).mean() > 0.95
    assert np.isfinite(logits).all()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(val.labels, logits)
    assert float(loss) == pytest.approx(min(history["val_loss"]), rel=1e-4)
    assert history["best_epoch"] == 1 + int(np.argmin(history["val_loss"]))
    assert json.loads((tmp_path / "history.json").read_text()) == history
    assert (tmp_path / "checkpoints" / "best.weights.h5").is_file()
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents.*"))


def test_the_same_seed_gives_the_same_head(tmp_path: Path) -> None:
    first, history = train(tmp_path / "a")
    second, again = train(tmp_path / "b")
    _, other = train(tmp_path / "c", seed=1)
    assert history == again
    assert history != other
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_stops_early(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    data = blobs(40, 1)
    noise = Embedded(data.features, np.roll(data.labels, 1), 0.0)
    head = build_head(*moments(data.features), 2, ModelOptions())
    options = TrainingOptions(epochs=200, patience=2, learning_rate=0.1)
    history = fit_head(head, data, noise, options, tmp_path).history
    assert len(history["loss"]) < 200


def test_moments_of_a_constant_feature() -> None:
    mean, deviation = moments(np.full((5, 2), 3.0, np.float32))
    np.testing.assert_array_equal(mean, [3, 3])
    np.testing.assert_array_equal(deviation, [1, 1])


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_features_of_any_scale_reach_the_head_with_unit_variance(scale: float) -> None:
    features = (np.random.default_rng(0).normal(3, 2, (500, 4)) * scale).astype(np.float32)
    head = build_head(*moments(features), 2, ModelOptions())
    scaled = keras.Model(head.input, head.get_layer("scale").output).predict(features, verbose=0)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)


def test_an_untrained_head_is_undecided() -> None:
    head = build_head(np.zeros(3, np.float32), np.ones(3, np.float32), 4, ModelOptions())
    np.testing.assert_array_equal(head.predict(np.ones((2, 3)), verbose=0), np.zeros((2, 4)))
