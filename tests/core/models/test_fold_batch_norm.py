from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from core.models.fold_batch_norm import fold_batch_norm
from serving.export.difference import BOUND, difference

L = keras.layers


def conv(x: Any) -> Any:
    return L.BatchNormalization()(L.Conv2D(6, 3, use_bias=False)(x))


def chain(x: Any) -> Any:
    x = L.ReLU()(conv(x))
    x = L.SeparableConv2D(6, 3, use_bias=False)(L.ZeroPadding2D(1)(x))
    return L.BatchNormalization(epsilon=0.1)(x)


def nested(x: Any) -> Any:
    inner = keras.Input((12, 12, 3))
    return keras.Model(inner, chain(inner))(x / 127.5 - 1.0, training=False)


def in_sequential(x: Any) -> Any:
    """Like the downsampling of ConvNeXt."""
    return keras.Sequential([L.Conv2D(6, 3), L.BatchNormalization(), L.Conv2D(2, 1)])(x)


def read_twice(x: Any) -> Any:
    x = L.Conv2D(6, 3)(x)
    return L.Add()([L.BatchNormalization()(x), x])


def called_twice(x: Any) -> Any:
    layer = L.Conv2D(3, 3, padding="same")
    return L.BatchNormalization()(layer(layer(x)))


def norm_called_twice(x: Any) -> Any:
    norm = L.BatchNormalization()
    return L.Add()([norm(L.Conv2D(6, 3)(x)), norm(L.Conv2D(6, 3)(x))])


def pair(layer: Callable[[], Any], **norm: Any) -> Callable[[Any], Any]:
    """Returns a layer followed by batch normalization."""
    return lambda x: L.BatchNormalization(**norm)(layer()(x))


CASES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "bias": (pair(lambda: L.Conv2D(6, 3, padding="same", strides=2)), 0),
    "depthwise": (pair(lambda: L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)), 0),
    "separable with bias": (pair(lambda: L.SeparableConv2D(6, 3), epsilon=0.1), 0),
    "no scale": (pair(lambda: L.Conv2D(6, 3), scale=False), 0),
    "no center": (pair(lambda: L.Conv2D(6, 3), center=False), 0),
    "nested": (nested, 0),
    "in sequential": (in_sequential, 0),
    "read twice": (read_twice, 1),
    "activation": (pair(lambda: L.Conv2D(6, 3, activation="relu")), 1),
    "norm first": (lambda x: L.Conv2D(6, 3)(L.BatchNormalization()(x)), 1),
    "called twice": (called_twice, 1),
    "norm called twice": (norm_called_twice, 1),
}


def all_layers(model: keras.Model) -> list[Any]:
    return [
        inner
        for layer in model.layers
        for inner in (all_layers(layer) if isinstance(layer, keras.Model) else [layer])
    ]


def norms(model: keras.Model) -> list[Any]:
    return [layer for layer in all_layers(model) if isinstance(layer, L.BatchNormalization)]


def randomize(model: keras.Model) -> None:
    """Sets statistics and weights to values other than 0 and 1, as after training."""
    rng = np.random.default_rng(1)
    for layer in norms(model):
        for weight in layer.weights:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    for layer in all_layers(model):
        if getattr(layer, "use_bias", False):
            layer.bias.assign(rng.normal(0, 1, layer.bias.shape))


@pytest.mark.parametrize("case", CASES)
def test_folding_keeps_the_outputs(case: str) -> None:
    build, remaining = CASES[case]
    keras.utils.set_random_seed(0)
    pixels = keras.Input((12, 12, 3))
    model = keras.Model(pixels, build(pixels))
    randomize(model)
    before = [weight.numpy().copy() for weight in model.weights]
    folded = fold_batch_norm(model)
    images = np.random.default_rng(0).normal(0, 1, (5, 12, 12, 3)).astype(np.float32)
    expected = model(images, training=False).numpy()
    np.testing.assert_allclose(folded(images, training=False), expected, atol=1e-5, rtol=1e-5)
    assert len(norms(folded)) == remaining
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_convolution_that_is_also_an_output_is_kept() -> None:
    pixels = keras.Input((12, 12, 3))
    x = L.Conv2D(6, 3)(pixels)
    model = keras.Model(pixels, [x, L.BatchNormalization()(x)])
    randomize(model)
    images = np.ones((1, 12, 12, 3), np.float32)
    for one, other in zip(
        model(images, training=False), fold_batch_norm(model)(images, training=False), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_bfloat16_is_not_folded() -> None:
    pixels = keras.Input((12, 12, 3))
    x = L.Conv2D(6, 3, dtype="mixed_bfloat16")(pixels)
    model = keras.Model(pixels, L.BatchNormalization(dtype="mixed_bfloat16")(x))
    assert len(norms(fold_batch_norm(model))) == 1


@pytest.mark.parametrize("backbone", ["MobileNetV2", "Xception", "DenseNet121"])
def test_real_backbones(backbone: str) -> None:
    """Split backbones, as in fine-tuning, with randomized statistics."""
    from core.models.backbones import split_backbone
    from core.models.classifier import ClassifierNetwork, EnsembleMember

    keras.utils.set_random_seed(0)
    lower, upper = split_backbone(backbone, 96, None, "default")
    assert upper is not None
    randomize(upper)
    head = keras.Sequential([keras.Input((upper.output.shape[-1],)), L.Dense(3)])
    network = ClassifierNetwork((EnsembleMember(lower, head, upper),), "avg")
    folded = network.folded()
    assert len(norms(folded.members[0].lower)) < len(norms(lower))
    folded_upper = folded.members[0].upper
    assert folded_upper is not None
    assert len(norms(folded_upper)) < len(norms(upper))
    assert folded.count_params() < network.count_params()
    assert difference(network, folded, 96) <= BOUND


def test_backbone_without_batch_norm() -> None:
    """Sequential parts and custom layers are copied."""
    from core.models.backbones import split_backbone

    keras.utils.set_random_seed(0)
    lower, upper = split_backbone("ConvNeXtTiny", 64, None, "default")
    assert upper is not None
    maps = np.random.default_rng(0).normal(0, 1, (2, *upper.input.shape[1:])).astype(np.float32)
    for part, x in ((lower, np.full((2, 64, 64, 1), 90, np.float32)), (upper, maps)):
        expected = part(x, training=False).numpy()
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(fold_batch_norm(part)(x, training=False), expected, atol=1e-5)


def test_difference() -> None:
    pixels = keras.Input((8, 8, 1))
    logits = L.Reshape((1, 3))(L.Dense(3)(L.Flatten()(L.Rescaling(1 / 255)(pixels))))
    model = keras.Model(pixels, logits)
    other = keras.models.clone_model(model)
    other.set_weights([weight * 1.01 for weight in model.get_weights()])
    assert difference(model, model, 8) == 0.0
    assert difference(model, other, 8) > BOUND
