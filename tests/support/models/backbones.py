"""Compares a split backbone with the Keras network."""

import numpy as np
import pytest


def pixels(size: int, images: int = 2) -> np.ndarray:
    """Returns synthetic images, float32 [n, size, size, 1] in 0..255."""
    from tests.support.images.synthetic import gray

    return np.stack([gray(size, size, i) for i in range(images)])[..., None].astype(np.float32)


def check_parts(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that a backbone, whole and split at three layers, equals the Keras network."""
    import keras

    from core.models import backbones
    from core.models.backbones import BACKBONES, TOP, build_network, split_backbone, split_points

    keras.utils.set_random_seed(0)
    network = build_network(name, size, None)
    points = split_points(network)
    assert points[0] == "input"
    assert points[-1] == "top"
    assert len(points) == len(set(points)) > 10
    assert BACKBONES[name].default_layer in points
    module = getattr(keras.applications, BACKBONES[name].keras_module)
    image = pixels(size)
    rgb = keras.ops.array(np.repeat(image, 3, axis=-1))
    expected = np.asarray(network(module.preprocess_input(rgb), training=False))
    assert expected.std() > 0
    assert expected.ndim == 4
    # One network for all layers, because building takes longest.
    monkeypatch.setattr(backbones, "build_network", lambda *_: network)
    tolerance = 1e-5 * np.abs(expected).max()
    for layer in ("input", points[len(points) // 3], "default"):
        lower, upper = split_backbone(name, size, None, layer)
        assert upper is not None
        at_layer = lower(image)
        assert at_layer.dtype == np.float32
        assert len(at_layer.shape) == 4
        np.testing.assert_allclose(np.asarray(upper(at_layer)), expected, atol=tolerance)
        assert not lower.trainable_variables
        lower_variables = {id(variable) for variable in lower.variables}
        assert not lower_variables & {id(variable) for variable in upper.variables}
        network.trainable = True  # `lower` froze its part of the shared network
        if layer == "input":
            assert all("normalization" in v.path for v in lower.variables)
            assert len(upper.trainable_variables) == len(network.trainable_variables)
    backbone = split_backbone(name, size, None, TOP)[0]
    np.testing.assert_array_equal(np.asarray(backbone(image)), expected)
    # A frozen backbone ignores training=True.
    np.testing.assert_array_equal(np.asarray(backbone(image, training=True)), expected)
    assert not backbone.trainable_variables
