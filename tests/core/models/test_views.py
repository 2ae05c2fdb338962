"""Averaging over views of an image."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from core.models.backbones import split_backbone
from core.models.classifier import ClassifierNetwork, EnsembleMember
from core.models.decision_rule import DecisionRule
from core.models.explain.explain_fn import build_explain_fn
from core.models.head import build_head
from core.models.options import ModelOptions, ViewOptions
from core.models.views import View, prediction_views
from schema.labels import THREE_CLASS

SIZE = 32
TEN_CROP = ViewOptions(scales=(0.875,), corners=True, flip=True)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (None, 0),
        (ViewOptions(scales=(1.0,)), 0),  # the image alone
        (ViewOptions(scales=(1.0,), corners=True), 0),
        (ViewOptions(scales=(1.0,), flip=True), 2),
        (ViewOptions(), 2),
        (ViewOptions(scales=(0.9,)), 1),
        (ViewOptions(scales=(1.0, 0.9, 0.8), flip=True), 6),
        (ViewOptions(scales=(1.0, 0.9), corners=True), 6),
        (TEN_CROP, 10),
    ],
)
def test_number_of_views(options: ViewOptions | None, count: int) -> None:
    views = prediction_views(options)
    assert len(views) == len(set(views)) == count


def images(count: int = 3) -> tf.Tensor:
    rng = np.random.default_rng(0)
    return tf.constant(rng.uniform(0, 255, (count, SIZE, SIZE, 1)), tf.float32)


def test_ten_crops_are_the_corners_and_the_middle() -> None:
    pixels = images().numpy()
    for view, (top, left) in zip(
        prediction_views(TEN_CROP), [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)] * 2, strict=True
    ):
        part = pixels[:, top : top + 28, left : left + 28]
        expected = tf.image.resize(part, [SIZE, SIZE]).numpy()
        if view.flip:
            expected = expected[:, :, ::-1]
        np.testing.assert_array_equal(view(tf.constant(pixels)), expected)
    assert [view.flip for view in prediction_views(TEN_CROP)] == [False] * 5 + [True] * 5


@given(st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_view_has_the_shape_and_range_of_the_image(
    scale: float, vertical: float, horizontal: float, flip: bool
) -> None:
    view = View(scale, vertical, horizontal, flip)(images())
    assert view.shape == (3, SIZE, SIZE, 1)
    assert view.dtype == tf.float32
    low, high = images().numpy().min(), images().numpy().max()
    assert view.numpy().min() >= low - 1e-3
    assert view.numpy().max() <= high + 1e-3
    np.testing.assert_array_equal(View()(images()), images())


@pytest.fixture(scope="module")
def network() -> ClassifierNetwork:
    """Two members with different temperatures."""
    keras.utils.set_random_seed(0)
    lower, upper = split_backbone("MobileNetV2", SIZE, None, "block_16_expand")
    members = []
    for seed, temperature in ((0, 1.0), (1, 2.5)):
        moments = np.zeros(1280, np.float32), np.ones(1280, np.float32)
        head = build_head(*moments, 3, ModelOptions(), seed=seed)
        rng = np.random.default_rng(seed)
        head.set_weights([rng.normal(size=weights.shape) for weights in head.get_weights()])
        members.append(EnsembleMember(lower, head, upper, temperature))
    return ClassifierNetwork(tuple(members), "avg")


def probabilities(network: Any, pixels: tf.Tensor) -> np.ndarray:
    return tf.nn.softmax(network(pixels)).numpy()


@pytest.mark.parametrize("count", [1, 3])
def test_identical_views_equal_the_plain_network(network: ClassifierNetwork, count: int) -> None:
    averaged = replace(network, views=(View(),) * count)
    np.testing.assert_allclose(
        probabilities(averaged, images()), probabilities(network, images()), atol=1e-5
    )


def test_mean_of_the_probabilities_before_the_temperature(network: ClassifierNetwork) -> None:
    views = prediction_views(ViewOptions(scales=(1.0, 0.75), flip=True))
    averaged = replace(network, views=views)
    members = tuple(replace(member, temperature=1.0) for member in network.members)
    single = replace(network, members=members)
    mean = np.mean([probabilities(single, view(images())) for view in views], axis=0)
    assert averaged(images()).shape == (3, 2, 3)
    np.testing.assert_allclose(probabilities(averaged, images())[:, 0], mean[:, 0], atol=1e-5)
    scaled = mean[:, 1] ** (1 / 2.5)
    scaled /= scaled.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(averaged, images())[:, 1], scaled, atol=1e-5)


def test_graphs_and_folding_keep_the_views(network: ClassifierNetwork) -> None:
    averaged = replace(network, views=prediction_views(TEN_CROP))
    run = tf.function(averaged, input_signature=[tf.TensorSpec([None, SIZE, SIZE, 1])])
    expected = probabilities(averaged, images())
    np.testing.assert_allclose(probabilities(run, images()), expected, atol=1e-5)
    assert averaged.folded().views == averaged.views


def test_heat_is_of_the_whole_image_and_the_score_of_all_views(network: ClassifierNetwork) -> None:
    averaged = replace(network, views=prediction_views(ViewOptions(flip=True)))
    rule = DecisionRule(1.0, 0.0)
    of_views = build_explain_fn(averaged, THREE_CLASS, rule)(images())
    plain = build_explain_fn(network, THREE_CLASS, rule)(images())
    np.testing.assert_allclose(of_views.logits, averaged(images()), rtol=1e-4, atol=1e-4)

    def relative(heat: tf.Tensor) -> np.ndarray:
        return np.asarray(heat / tf.reduce_max(heat, axis=(1, 2), keepdims=True))

    np.testing.assert_allclose(relative(of_views.heat), relative(plain.heat), atol=1e-4)
