import keras
import numpy as np
import pytest

from components.trainer.trunks import TRUNKS, build_trunk, image_size
from tests.images import gray


@pytest.mark.parametrize("name", sorted(TRUNKS))
def test_trunk_equals_keras_own_recipe_on_the_rgb_copy(name: str) -> None:
    keras.utils.set_random_seed(0)
    trunk = build_trunk(name, 96, None)
    image = gray(96, 96)[None, ..., None].astype(np.float32)
    rgb = np.repeat(image, 3, axis=-1)
    module = getattr(keras.applications, TRUNKS[name].module)
    network = next(layer for layer in trunk.layers if isinstance(layer, keras.Model))
    expected = network(module.preprocess_input(rgb.copy()), training=False)
    got = trunk(image)
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
    assert not trunk.trainable_weights


@pytest.mark.parametrize("name", sorted(TRUNKS))
def test_weight_file_name_is_the_one_that_keras_asks_for(name: str) -> None:
    import inspect

    source = inspect.getsource(getattr(keras.applications, TRUNKS[name].module))
    assert "notop" in TRUNKS[name].weight_file or "no_top" in TRUNKS[name].weight_file
    stem = TRUNKS[name].weight_file.split("1.0_224")[0].removesuffix("_notop.h5")
    assert (
        stem.rstrip("_")
        in inspect.getsource(
            __import__(f"keras.src.applications.{TRUNKS[name].module}", fromlist=["x"])
        )
        or stem in source
    )


@pytest.mark.parametrize(("wanted", "size"), [(None, 299), (64, 64)])
def test_image_size(wanted: int | None, size: int) -> None:
    assert image_size("InceptionV3", wanted) == size
