"""Weight files under any name and in both layouts of Keras."""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.models.backbone_weights import resolve_weights
from core.models.backbones import BACKBONES, build_network
from core.models.options import ModelOptions
from core.models.weight_files import is_hdf5, is_keras_3
from schema.errors import PneumoError

NAMES = ("MobileNet", "InceptionV3", "VGG16", "EfficientNetB0")
NAME = "MobileNet"
FILE = BACKBONES[NAME].weight_file


def random_network(name: str, top: bool = False) -> keras.Model:
    """Builds a network with random weights; no two tensors are equal."""
    shape = None if top else (96, 96, 3)
    network = getattr(keras.applications, name)(include_top=top, weights=None, input_shape=shape)
    rng = np.random.default_rng(3)
    network.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in network.get_weights()])
    return network


def save(network: keras.Model, file: Path) -> Path:
    """Writes the layout of Keras 3 under any name."""
    named = file.with_name("temporary.weights.h5")
    network.save_weights(named)
    return named.rename(file)


@pytest.fixture(scope="module")
def keras_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(random_network(NAME), tmp_path_factory.mktemp("keras_3") / "mine.weights.h5")


def options(**changes: Any) -> ModelOptions:
    return ModelOptions(**{"backbone": NAME, **changes})


@pytest.mark.parametrize("name", NAMES)
def test_files_of_keras_3_give_each_layer_its_weights(name: str, tmp_path: Path) -> None:
    made = random_network(name)
    file = save(made, tmp_path / "mine.h5")
    assert is_keras_3(file)
    weights = resolve_weights(options(backbone=name, weights=str(file)))
    loaded = build_network(name, 96, weights.file)
    for layer, expected in zip(loaded.layers, made.layers, strict=True):
        if isinstance(layer, keras.layers.Normalization):
            continue  # of EfficientNet: its variance is squared, see `build_network`
        for a, b in zip(layer.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_classifier_in_a_file_of_keras_3_is_not_needed(tmp_path: Path) -> None:
    made = random_network(NAME, top=True)
    file = save(made, tmp_path / "mine.weights.h5")
    loaded = build_network(NAME, 96, resolve_weights(options(weights=str(file))).file)
    for layer in loaded.layers[1:]:
        expected = made.get_layer(layer.name).get_weights()
        for a, b in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", ["InceptionV3", "VGG16", "MobileNetV2"])
def test_a_file_of_keras_3_of_another_network_is_one_line(other: str, keras_3: Path) -> None:
    with pytest.raises(PneumoError, match=f"does not match {other}") as raised:
        resolve_weights(options(backbone=other, weights=str(keras_3)))
    assert "\n" not in str(raised.value)


def test_a_nested_network_is_another_network(tmp_path: Path) -> None:
    network = random_network(NAME)
    whole = keras.Sequential([network, keras.layers.GlobalAveragePooling2D()])
    file = save(whole, tmp_path / "whole.weights.h5")
    with pytest.raises(PneumoError, match="does not match MobileNet"):
        resolve_weights(options(weights=str(file)))


def test_a_tensor_that_is_missing_is_an_error(keras_3: Path, tmp_path: Path) -> None:
    import h5py

    file = tmp_path / "part.weights.h5"
    file.write_bytes(keras_3.read_bytes())
    with h5py.File(file, "a") as store:
        del store["layers/conv2d/vars/0"]
    with pytest.raises(PneumoError, match="does not match MobileNet"):
        resolve_weights(options(weights=str(file)))


RENAMED = [
    f"{FILE.removesuffix('.h5')} (1).h5",
    f"{FILE}.download",
    f"{FILE}?raw=1",
    FILE.upper(),
    "weights.h5",
    "no suffix",
]


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("as_file", [True, False])
def test_a_renamed_file_is_found_by_its_tensors(
    name: str, as_file: bool, keras_3: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    os.link(keras_3, file)
    (tmp_path / BACKBONES["VGG16"].weight_file).write_bytes(b"\x89HDF\r\n\x1a\n")  # not looked at
    (tmp_path / "README.txt").write_text("weights")
    path = str(file if as_file else tmp_path)
    found = resolve_weights(options(), environment=path)
    assert (found.kind, found.file) == ("file", str(file.resolve()))
    assert resolve_weights(options(weights=path)) == found


def test_a_folder_without_the_weights_is_one_line(keras_3: Path, tmp_path: Path) -> None:
    os.link(keras_3, tmp_path / "mine.h5")
    pattern = r"has no weight file of VGG16 \(not used, because the tensors differ: 'mine\.h5'"
    with pytest.raises(PneumoError, match=pattern):
        resolve_weights(options(backbone="VGG16", weights=str(tmp_path)))


def test_several_fitting_files_are_named(keras_3: Path, tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        os.link(keras_3, tmp_path / name)
    with pytest.raises(
        PneumoError, match=r"several weight files of MobileNet .*: 'a\.h5', 'b\.h5'"
    ):
        resolve_weights(options(), environment=str(tmp_path))
    assert resolve_weights(options(weights=str(tmp_path / "a.h5"))).kind == "file"


@pytest.fixture
def no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / ".keras"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("as_file", [True, False])
def test_files_that_do_not_fit_are_named(as_file: bool, keras_3: Path, tmp_path: Path) -> None:
    file = tmp_path / f"{BACKBONES['VGG16'].weight_file.removesuffix('.h5')} (1).h5"
    os.link(keras_3, file)
    environment = str(file if as_file else tmp_path)
    vgg = options(backbone="VGG16")
    with pytest.raises(PneumoError, match=r"not used, because the tensors differ: 'vgg16.* \(1\)"):
        resolve_weights(vgg, environment=environment)
    random = resolve_weights(vgg.model_copy(update={"on_missing": "random"}), environment)
    assert random.kind == "random"
    assert f"'{file.name}'" in random.notice("VGG16")


@pytest.mark.usefixtures("no_download")
def test_no_home_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    with pytest.raises(PneumoError, match="no home folder; set HOME or KERAS_HOME"):
        resolve_weights(options(), environment="")
    random = resolve_weights(options(on_missing="random"), environment="")
    assert "no home folder" in random.reason


@pytest.mark.parametrize("content", [b"", b"\x89HD", b"PK\3\4", b"<html>"])
def test_other_files_are_no_hdf5(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not is_hdf5(tmp_path / "x")
    assert not is_hdf5(tmp_path / "missing")
    assert not is_hdf5(tmp_path)
