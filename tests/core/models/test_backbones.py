import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.models.backbones import (
    BACKBONES,
    TOP,
    build_network,
    freeze_batch_norm,
    image_size,
    preprocess,
    split_backbone,
)
from tests.support.models.backbones import check_parts, pixels

# One with dropout, one with concatenation, one that scales its input; others: all_backbones.
SIZES = {"MobileNet": 32, "DenseNet121": 32, "EfficientNetB0": 32}
MODULES = {backbone.keras_module: name for name, backbone in BACKBONES.items()}


def test_table_contains_every_keras_classifier() -> None:
    offered = {
        name
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value) and "include_top" in inspect.signature(value).parameters
    }
    assert set(BACKBONES) == offered


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_weight_hash_is_that_of_the_keras_module(name: str) -> None:
    modules = [inspect.getmodule(getattr(keras.applications, name))]
    if "V2" in name and name.startswith("ResNet"):
        modules.append(
            inspect.getmodule(keras.applications.ResNet50)
        )  # contains the hashes of both versions
    source = "".join(inspect.getsource(module) for module in modules)
    backbone = BACKBONES[name]
    assert len(backbone.weight_hash) in (0, 32, 64)
    assert backbone.weight_hash in source
    assert bool(backbone.weight_hash) == (
        backbone.keras_module not in ("mobilenet", "mobilenet_v2")
    )
    assert callable(getattr(keras.applications, backbone.keras_module).preprocess_input)
    assert sum(other.weight_file == backbone.weight_file for other in BACKBONES.values()) == 1


@pytest.mark.parametrize("name", MODULES.values())
def test_preprocessing_equals_keras_on_rgb(name: str) -> None:
    size = 16
    image = np.arange(size * size, dtype=np.float32).reshape(1, size, size, 1)  # every gray value
    plane = keras.Input((size, size, 1))
    got = np.asarray(keras.Model(plane, preprocess(name, plane))(image))
    rgb = np.repeat(image, 3, axis=-1)
    module = getattr(keras.applications, BACKBONES[name].keras_module)
    # Keras has two implementations, for arrays and for tensors, whose rounding differs.
    np.testing.assert_array_equal(got, module.preprocess_input(keras.ops.array(rgb)))
    np.testing.assert_allclose(got, module.preprocess_input(rgb.copy()), rtol=1e-6, atol=1e-6)
    assert got.dtype == np.float32


def test_vgg_preprocessing_is_bgr_minus_mean() -> None:
    plane = keras.Input((1, 1, 1))
    got = keras.Model(plane, preprocess("VGG16", plane))(np.full((1, 1, 1, 1), 100.0))
    np.testing.assert_allclose(
        np.asarray(got).ravel(), [100 - 103.939, 100 - 116.779, 100 - 123.68], rtol=1e-6
    )


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_both_parts_equal_the_keras_network(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_parts(name, size, monkeypatch)


def test_split_at_a_layer_that_is_not_listed() -> None:
    lower, upper = split_backbone("VGG16", 32, None, "block5_conv3")
    assert upper is not None
    assert not upper.variables  # only pooling remains
    assert upper(lower(pixels(32))).shape == (2, 1, 1, 512)


@pytest.mark.parametrize("layer", ["conv_dw_99_relu", "nonsense", ""])
def test_unknown_layer_lists_the_split_points(layer: str) -> None:
    with pytest.raises(
        ValueError, match=rf"MobileNet cannot be split at '{layer}'.*conv_dw_2_relu"
    ):
        split_backbone("MobileNet", 32, None, layer)


def test_size_below_the_minimum_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least 71"):
        split_backbone("Xception", 70, None, TOP)


def test_second_backbone_of_a_process_has_the_same_layers_and_its_own_variables() -> None:
    parts = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        parts.append(split_backbone("Xception", 71, None, "default"))
    (lower, upper), (other_lower, other) = parts
    assert upper is not None
    assert other is not None
    image = pixels(71)
    assert lower.output_shape == (None, 5, 5, 728)  # block 12 ends; block 13 halves the map
    assert upper.layers[1].name == other.layers[1].name == "block13_sepconv1_act"
    before = np.asarray(upper(lower(image)))
    np.testing.assert_array_equal(np.asarray(other(other_lower(image))), before)
    for variable in other.trainable_variables:
        variable.assign(variable * 0)
    np.testing.assert_array_equal(np.asarray(upper(lower(image))), before)
    assert not np.asarray(other(other_lower(image))).any()


def test_batch_norm_is_trained_unless_frozen() -> None:
    lower, upper = split_backbone("MobileNet", 32, None, "conv_pw_11_relu")
    assert upper is not None
    at_layer = lower(pixels(32, 8))
    moving = [v for v in upper.non_trainable_variables if "moving_mean" in v.path]
    before = [np.asarray(v) for v in moving]
    assert moving
    upper(at_layer, training=False)
    assert all(np.array_equal(a, v) for a, v in zip(before, moving, strict=True))
    trained = np.asarray(upper(at_layer, training=True))
    assert not any(np.array_equal(a, v) for a, v in zip(before, moving, strict=True))
    after = [np.asarray(v) for v in moving]
    count = len(upper.trainable_variables)
    frozen = freeze_batch_norm(upper)
    assert frozen == len(moving)
    assert len(upper.trainable_variables) == count - 2 * frozen
    exact = np.asarray(upper(at_layer, training=False))
    np.testing.assert_array_equal(np.asarray(upper(at_layer, training=True)), exact)
    assert not np.allclose(trained, exact, atol=0)
    assert all(np.array_equal(a, v) for a, v in zip(after, moving, strict=True))


def test_bfloat16_backbone_returns_float32() -> None:
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    exact, exact_upper = split_backbone("VGG16", 32, None, "block3_pool")
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        lower, upper = split_backbone("VGG16", 32, None, "block3_pool")
        plane = keras.Input((1, 1, 1))
        scaled = preprocess("VGG16", plane)
    finally:
        keras.config.set_dtype_policy(policy)
    assert scaled.dtype == "float32"
    assert upper is not None
    assert exact_upper is not None
    at_layer, expected = np.asarray(lower(pixels(32))), np.asarray(exact(pixels(32)))
    assert at_layer.dtype == np.float32
    assert not np.array_equal(at_layer, expected)
    assert np.abs(at_layer - expected).max() < 0.05 * expected.std()
    got = np.asarray(keras.ops.cast(upper(at_layer), "float32"))
    assert np.abs(got - np.asarray(exact_upper(expected))).max() < 0.05


def test_efficientnet_weight_file_equals_imagenet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras adds a scaling layer for weights="imagenet", but not for the path of the same file."""
    from keras.src.utils import file_utils

    size, name = 32, "EfficientNetB0"
    network = build_network(name, size, None)
    normalization = next(x for x in network.layers if isinstance(x, keras.layers.Normalization))
    normalization.adapt_mean.assign([0.485, 0.456, 0.406])
    normalization.adapt_variance.assign([0.229, 0.224, 0.225])
    file = write_legacy_file(network, tmp_path / BACKBONES[name].weight_file)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(file))
    published = split_backbone(name, size, "imagenet", TOP)[0]
    ours = split_backbone(name, size, str(file), TOP)[0]
    expected = np.asarray(published(pixels(size)))
    got = np.asarray(ours(pixels(size)))
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
    unscaled = keras.applications.EfficientNetB0(
        include_top=False, weights=str(file), input_shape=(size, size, 3)
    )
    wrong = np.asarray(unscaled(np.repeat(pixels(size), 3, axis=-1)))
    assert np.abs(wrong - expected).max() > 0.1 * np.abs(expected).max()


def write_legacy_file(network: Any, file: Path) -> Path:
    """Writes weights in the layout of the published files."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(file, "w") as store:
        save_weights_to_hdf5_group(store, network)
    return file


@pytest.mark.parametrize(("configured", "size"), [(None, 299), (64, 64)])
def test_image_size(configured: int | None, size: int) -> None:
    assert image_size("InceptionV3", configured) == size
