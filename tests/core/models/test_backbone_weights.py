import dataclasses
import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest

from core.models.backbone_weights import (
    DEFERRED,
    BackboneWeights,
    defer_weights,
    resolve_deferred,
    resolve_weights,
)
from core.models.backbones import BACKBONES, TOP, split_backbone
from core.models.options import ModelOptions
from schema.errors import PneumoError
from schema.files import sha256_of_file
from schema.storage import put, remove

NAME = "MobileNet"
FILE = BACKBONES[NAME].weight_file


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes weights without top in the layout of the published files."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    keras.utils.set_random_seed(5)
    network = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(96, 96, 3))
    file = tmp_path_factory.mktemp("weights") / BACKBONES[NAME].weight_file
    with h5py.File(file, "w") as store:
        save_weights_to_hdf5_group(store, network)
    return file


def options(**changes: str) -> ModelOptions:
    return ModelOptions(backbone=NAME, **changes)


def test_weight_file_is_checked_and_loaded(weight_file: Path) -> None:
    weights = resolve_weights(options(weights=str(weight_file)))
    assert weights == BackboneWeights(
        "file", str(weight_file.resolve()), sha256_of_file(weight_file), published="unknown"
    )
    assert BackboneWeights(**weights.to_dict()) == weights
    assert all(isinstance(value, str) for value in weights.to_dict().values())
    assert weights.notice(NAME) == ""
    keras.utils.set_random_seed(1)
    other = split_backbone(NAME, 96, None, TOP)[0].get_weights()
    loaded = split_backbone(NAME, 96, weights.file, TOP)[0].get_weights()
    keras.utils.set_random_seed(5)
    expected = split_backbone(NAME, 96, None, TOP)[0].get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(other, expected, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(loaded, expected, strict=True))


def test_folder_is_searched_for_the_file_name_of_keras(weight_file: Path) -> None:
    assert resolve_weights(options(weights=str(weight_file.parent))).kind == "file"
    resolved = resolve_weights(options(), environment=str(weight_file.parent))
    assert resolved.file == str(weight_file.resolve())
    assert resolve_weights(options(), environment=str(weight_file)) == resolved


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_file_with_the_published_digest_is_not_compared_with_the_network(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / BACKBONES[NAME].weight_file
    file.write_bytes(b"published weights")
    digest = hashlib.new(algorithm, file.read_bytes()).hexdigest()
    monkeypatch.setitem(BACKBONES, NAME, dataclasses.replace(BACKBONES[NAME], weight_hash=digest))
    assert resolve_weights(options(weights=str(file))).published == "yes"
    file.write_bytes(b"one byte less")
    with pytest.raises(PneumoError, match="not a Keras weight file"):
        resolve_weights(options(weights=str(file)))


def test_file_with_another_digest_is_accepted_and_marked(
    weight_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES, NAME, dataclasses.replace(BACKBONES[NAME], weight_hash="0" * 32))
    assert resolve_weights(options(weights=str(weight_file))).published == "no"


def test_keras_cache_is_used_and_checked(
    weight_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    cached = tmp_path / "models" / BACKBONES[NAME].weight_file
    cached.write_bytes(weight_file.read_bytes())
    resolved = resolve_weights(options(), environment="")
    assert (resolved.kind, resolved.file) == ("imagenet", str(cached))
    cached.write_bytes(b"half a download")
    for policy in ("stop", "random"):  # a broken file is not a missing file
        with pytest.raises(PneumoError, match="not a Keras weight file"):
            resolve_weights(options(on_missing=policy), environment="")


def test_names_split_over_several_attributes_are_read(
    weight_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras splits the names of networks with many layers, such as NASNetLarge."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    monkeypatch.setattr(legacy_h5_format, "HDF5_OBJECT_HEADER_LIMIT", 300)
    file = tmp_path / "split_names.h5"
    network = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(96, 96, 3))
    with h5py.File(file, "w") as store:
        legacy_h5_format.save_weights_to_hdf5_group(store, network)
        assert "layer_names" not in store.attrs
        assert "layer_names1" in store.attrs
    assert resolve_weights(options(weights=str(file))).kind == "file"


def test_layers_in_another_order_are_rejected(tmp_path: Path, weight_file: Path) -> None:
    """Keras assigns weights by position, so another order would give wrong weights."""
    import h5py

    file = tmp_path / "reversed.h5"
    file.write_bytes(weight_file.read_bytes())
    with h5py.File(file, "a") as store:
        store.attrs["layer_names"] = store.attrs["layer_names"][::-1]
    with pytest.raises(PneumoError, match=r"does not match MobileNet.*layer 1 "):
        resolve_weights(options(weights=str(file)))


def test_random_weights_have_a_notice() -> None:
    weights = resolve_weights(options(weights="random"))
    assert (weights.kind, weights.published) == ("random", "")
    assert "RANDOM WEIGHTS" in weights.notice(NAME)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match=r"nothing\.h5.*does not exist"):
        resolve_weights(options(weights=str(tmp_path / "nothing.h5")))


def test_file_that_is_not_hdf5(tmp_path: Path) -> None:
    file = tmp_path / "weights.h5"
    file.write_text("<html>404</html>")
    with pytest.raises(PneumoError, match="not a Keras weight file"):
        resolve_weights(options(weights=str(file)))


def test_weights_of_another_network_are_rejected(weight_file: Path) -> None:
    with pytest.raises(PneumoError, match="does not match InceptionV3"):
        resolve_weights(ModelOptions(backbone="InceptionV3", weights=str(weight_file)))


@pytest.mark.parametrize("policy", ["stop", "random"])
def test_imagenet_weights_not_available(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a cache, and with a proxy that refuses connections, the download fails immediately.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / ".keras"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    if policy == "random":
        weights = resolve_weights(options(on_missing="random"), environment="")
        assert weights.kind == "random"
        assert weights.reason
        assert weights.reason in weights.notice(NAME)
    else:
        with pytest.raises(PneumoError, match=r"cannot be downloaded.*--weights FILE"):
            resolve_weights(options(), environment="")


def test_resolved_weights_are_returned_unchanged() -> None:
    weights = BackboneWeights("file", "/x.h5", "00")
    assert resolve_deferred(weights, "Xception") is weights


def test_deferred_random_weights_are_random() -> None:
    deferred = defer_weights(ModelOptions(weights="random"))
    assert deferred.kind == DEFERRED
    assert resolve_deferred(deferred, "InceptionV3") == BackboneWeights("random")


@pytest.mark.parametrize("uri", ["memory://deferred", f"memory://deferred/{FILE}"])
def test_deferred_uri_is_fetched_once_and_checked(
    uri: str, weight_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    deferred = BackboneWeights(DEFERRED, file=uri, reason="stop")
    put(weight_file, f"memory://deferred/{FILE}")
    try:
        resolved = resolve_deferred(deferred, NAME)
    finally:
        remove(f"memory://deferred/{FILE}")
    assert (resolved.kind, resolved.sha256) == ("file", sha256_of_file(weight_file))
    # A second node does not download the file again: the store is empty now.
    assert resolve_deferred(deferred, NAME) == resolved


@pytest.mark.parametrize("uri", ["memory://deferred/none.h5", "/no/such/file.h5"])
def test_missing_deferred_weights(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(PneumoError, match=uri) as raised:
        resolve_deferred(BackboneWeights(DEFERRED, file=uri, reason="stop"), "Xception")
    assert "\n" not in str(raised.value)
