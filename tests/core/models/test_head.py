from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models.head import build_head, pool, select_pooling
from core.models.options import ModelOptions
from schema.labels import TWO_STAGE

CHANNELS = 5


def scaling(channels: int = CHANNELS) -> tuple[np.ndarray, np.ndarray]:
    return np.linspace(-1, 2, channels, dtype=np.float32), np.full(channels, 0.5, np.float32)


def features(n: int = 7, channels: int = CHANNELS, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (n, channels)).astype(np.float32)


def softmax(logits: Any) -> np.ndarray:
    return np.asarray(keras.ops.softmax(logits), np.float64)


def randomize(head: keras.Model, seed: int = 0) -> None:
    """Sets random weights, as after training."""
    rng = np.random.default_rng(seed)
    for variable in head.trainable_variables:
        variable.assign(rng.normal(0, 1, variable.shape))


@pytest.mark.parametrize("pooling", ["avg", "max", "both"])
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 1, 1, 1), (2, 1, 7, 3)])
def test_pooling_of_maps_equals_the_stored_columns(pooling: str, shape: tuple[int, ...]) -> None:
    maps = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    stored = np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))], axis=-1)
    got = np.asarray(pool(keras.ops.array(maps), pooling))
    np.testing.assert_allclose(got, select_pooling(stored, pooling), rtol=1e-5, atol=1e-6)
    symbolic = keras.Input(shape[1:])
    model = keras.Model(symbolic, pool(symbolic, pooling))
    np.testing.assert_allclose(np.asarray(model(maps)), got, rtol=1e-6)


def test_select_pooling_returns_views() -> None:
    stored = np.zeros((4, 6), np.float16)
    assert all(
        np.shares_memory(select_pooling(stored, kind), stored) for kind in ("avg", "max", "both")
    )
    assert select_pooling(stored, "avg").shape == (4, 3)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_untrained_head_has_equal_probabilities(classes: int) -> None:
    head = build_head(*scaling(), classes, ModelOptions(dense=(8,)), seed=4)
    np.testing.assert_array_equal(np.asarray(head(features())), np.zeros((7, classes)))


def test_untrained_two_stage_head() -> None:
    head = build_head(*scaling(), 3, ModelOptions(), True, TWO_STAGE.positive)
    np.testing.assert_allclose(softmax(head(features())), [[0.5, 0.25, 0.25]] * 7, rtol=1e-6)


@settings(max_examples=20)
@given(
    positive=st.sampled_from([(1, 2), (2, 1), (0, 1), (0, 2), (0,), (1,), (0, 2, 3), (3, 1, 0)]),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.1, 1.0, 50.0]),
)
def test_probabilities_of_the_stages_are_multiplied(
    positive: tuple[int, ...], seed: int, scale: float
) -> None:
    classes = len(positive) + 1
    negative = next(i for i in range(classes) if i not in positive)
    head = build_head(*scaling(), classes, ModelOptions(), True, positive, seed)
    randomize(head, seed)
    x = scale * features(seed=seed)
    logits = np.asarray(head(x), np.float64)
    stages = keras.Model(head.input, head.get_layer("stages").output)
    stage_outputs = np.asarray(stages(x), np.float64)
    assert np.isfinite(logits).all()
    # The logits are log-probabilities: they sum to 1 without softmax.
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, rtol=1e-5)
    probabilities = softmax(head(x))
    np.testing.assert_allclose(probabilities, np.exp(logits), rtol=1e-4, atol=1e-7)
    first = np.exp(-np.logaddexp(0, -stage_outputs[:, 0]))
    np.testing.assert_allclose(probabilities[:, negative], 1 - first, rtol=1e-4, atol=1e-6)
    second = np.exp(stage_outputs[:, 1:] - stage_outputs[:, 1:].max(axis=1, keepdims=True))
    second /= second.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        probabilities[:, list(positive)], first[:, None] * second, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(("classes", "positive"), [(3, (2,)), (3, ()), (2, (0, 1)), (4, (1, 2))])
def test_two_stages_need_one_negative_class(classes: int, positive: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="exactly one negative class"):
        build_head(*scaling(), classes, ModelOptions(), True, positive)


def test_features_of_any_scale_are_standardized() -> None:
    raw = features(500) * np.float32([1e-9, 1e-3, 1, 1e3, 1e6]) + np.float32([1e-9, 0, 1, -1e3, 7])
    head = build_head(raw.mean(axis=0), raw.std(axis=0), 2, ModelOptions())
    scaled = np.asarray(keras.Model(head.input, head.get_layer("scale").output)(raw))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-3)


def test_layers_match_the_options() -> None:
    options = ModelOptions(dense=(8, 4), activation="gelu", batch_norm=True, dropout=0.3, l2=0.01)
    head = build_head(*scaling(), 3, options)
    kinds = [type(layer).__name__ for layer in head.layers if layer.name not in ("center", "scale")]
    block = ["Dropout", "Dense", "BatchNormalization", "Activation"]
    assert kinds == ["InputLayer", *block, *block, "Dropout", "Dense"]
    assert [head.get_layer(f"dense_{i}").units for i in (0, 1)] == [8, 4]
    assert head.get_layer("activation_0").activation is keras.activations.gelu
    assert {layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)} == {0.3}
    assert head.output_shape == (None, 3)
    kernels = [v for v in head.trainable_variables if "kernel" in v.path]
    penalty = 0.01 * sum(float(np.square(np.asarray(v)).sum()) for v in kernels)
    assert float(sum(head.losses)) == pytest.approx(penalty, rel=1e-5)
    assert not build_head(*scaling(), 3, ModelOptions()).losses


def test_a_seed_gives_the_same_head_whatever_was_built_before() -> None:
    options = ModelOptions(dense=(16, 16), dropout=0.5)
    stage_outputs = []
    for seed in (3, 3, 4):
        head = build_head(*scaling(), 2, options, seed=seed)
        head.get_layer("logits").kernel.assign(np.ones((16, 2)))
        stage_outputs.append(
            [np.asarray(head(features())), np.asarray(head(features(), training=True))]
        )
        build_head(*scaling(), 2, ModelOptions(dense=(3,)), seed=9)  # moves Keras's own counters
        keras.utils.set_random_seed(len(stage_outputs))
    for same, again, other in zip(*stage_outputs, strict=True):
        np.testing.assert_array_equal(same, again)
        assert not np.array_equal(same, other)
    assert not np.array_equal(stage_outputs[0][0], stage_outputs[0][1])  # dropout does drop


def test_members_with_adjacent_seeds_share_no_random_numbers() -> None:
    seeds: list[int] = []
    for seed in range(20):
        head = build_head(*scaling(), 2, ModelOptions(dense=(5, 5)), seed=seed)
        seeds += [layer.seed for layer in head.layers if isinstance(layer, keras.layers.Dropout)]
        seeds += [head.get_layer(f"dense_{i}").kernel_initializer.seed for i in (0, 1)]
    assert len(seeds) == len(set(seeds)) == 100


def test_dense_layers_of_one_seed_differ_from_each_other() -> None:
    head = build_head(*scaling(), 2, ModelOptions(dense=(5, 5)), seed=1)
    first, second = (np.asarray(head.get_layer(f"dense_{i}").kernel) for i in (0, 1))
    assert not np.array_equal(first, second)


def test_head_from_config() -> None:
    head = build_head(*scaling(), 3, ModelOptions(dense=(4,)), True, (1, 2))
    randomize(head)
    again = keras.Model.from_config(head.get_config())
    again.set_weights(head.get_weights())
    np.testing.assert_allclose(
        np.asarray(again(features())), np.asarray(head(features())), rtol=1e-6
    )
