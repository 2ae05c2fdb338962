from pathlib import Path

import h5py
import pytest

from components.trainer.asked import ask, settled
from components.trainer.options import ModelOptions
from components.trainer.trunks import TRUNKS
from components.trainer.weights import Weights
from schema.errors import PneumoError
from schema.storage import put, remove


def test_what_was_found_is_handed_through() -> None:
    weights = Weights("file", "/x.h5", "00")
    assert settled(weights, "Xception") is weights


def test_random_stays_random() -> None:
    asked = ask(ModelOptions(weights="random"))
    assert asked.kind == "asked"
    assert settled(asked, "InceptionV3") == Weights("random")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_address_is_fetched_and_checked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    name = TRUNKS["MobileNetV2"].weight_file
    network = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), include_top=False, weights=None
    )
    file = tmp_path / "w.weights.h5"
    _legacy(network, file)
    uri = f"memory://asked/{name}"
    put(file, uri)
    try:
        asked = uri if kind == "file" else "memory://asked"
        found = settled(Weights("asked", file=asked, reason="stop"), "MobileNetV2")
    finally:
        remove(uri)
    assert found.kind == "file"
    assert Path(found.file).is_file()
    assert len(found.sha256) == 64
    # The second node on the machine does not fetch it again: the store is empty by now.
    assert settled(Weights("asked", file=asked, reason="stop"), "MobileNetV2") == found


@pytest.mark.parametrize("asked", ["memory://asked/none.h5", "/no/such/file.h5"])
def test_missing_weights_are_one_line(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(PneumoError, match=asked) as told:
        settled(Weights("asked", file=asked, reason="stop"), "Xception")
    assert "\n" not in str(told.value)


def _legacy(network: object, file: Path) -> None:
    """Writes weights as keras.applications keeps them: layer_names, weight_names."""
    with h5py.File(file, "w") as store:
        layers = [layer for layer in network.layers if layer.weights]  # type: ignore[attr-defined]
        store.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = store.create_group(layer.name)
            names = [f"{layer.name}/{i}" for i in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name, data=weight.numpy())
