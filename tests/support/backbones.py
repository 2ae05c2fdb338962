"""A backbone's two halves against Keras's own network."""

import numpy as np
import pytest


def pixels(size: int, images: int = 2) -> np.ndarray:
    """Pictures, float32 [n, size, size, 1] in 0..255."""
    from tests.support.images import gray

    return np.stack([gray(size, size, i) for i in range(images)])[..., None].astype(np.float32)


def check_halves(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails unless a backbone is Keras's network and its halves, at three cuts, give the same."""
    import keras

    from core.models import backbones
    from core.models.backbones import TOP, TRUNKS, build_network, cut_points, split_trunk

    keras.utils.set_random_seed(0)
    network = build_network(name, size, None)
    cuts = cut_points(network)
    assert cuts[0] == "input"
    assert cuts[-1] == "top"
    assert len(cuts) == len(set(cuts)) > 10
    assert TRUNKS[name].cut in cuts
    module = getattr(keras.applications, TRUNKS[name].module)
    image = pixels(size)
    rgb = keras.ops.array(np.repeat(image, 3, axis=-1))
    expected = np.asarray(network(module.preprocess_input(rgb), training=False))
    assert expected.std() > 0
    assert expected.ndim == 4
    # One network for all cuts: building takes longest.
    monkeypatch.setattr(backbones, "build_network", lambda *_: network)
    tolerance = 1e-5 * np.abs(expected).max()
    for cut in ("input", cuts[len(cuts) // 3], "default"):
        lower, upper = split_trunk(name, size, None, cut)
        assert upper is not None
        at_cut = lower(image)
        assert at_cut.dtype == np.float32
        assert len(at_cut.shape) == 4
        np.testing.assert_allclose(np.asarray(upper(at_cut)), expected, atol=tolerance)
        assert not lower.trainable_variables
        kept = {id(variable) for variable in lower.variables}
        assert not kept & {id(variable) for variable in upper.variables}
        network.trainable = True  # `lower` froze its share of the one network
        if cut == "input":
            assert all("normalization" in v.path for v in lower.variables)
            assert len(upper.trainable_variables) == len(network.trainable_variables)
    trunk = split_trunk(name, size, None, TOP)[0]
    np.testing.assert_array_equal(np.asarray(trunk(image)), expected)
    # Dropout and batch statistics stay off in a frozen trunk, whatever the caller says.
    np.testing.assert_array_equal(np.asarray(trunk(image, training=True)), expected)
    assert not trunk.trainable_variables
