import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.training.fingerprint import fingerprint

CONFIG: dict[str, Any] = {
    "name": "small",
    "model": {"backbone": "MobileNetV2"},
    "training": {"epochs": 3},
    "weights": {"kind": "file", "file": "/data/w.h5", "sha256": "12"},
    "checkpoints": "/data/states",
}


def fn_args(folder: Path, hyperparameters: Any = None, **changes: Any) -> Any:
    config = {
        key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = config
        for parent in parents:
            target = target[parent]
        target[last] = value
    return SimpleNamespace(
        train_files=[f"{folder}/train/*"],
        eval_files=[f"{folder}/val/*"],
        custom_config=config,
        hyperparameters=hyperparameters,
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        (folder / "features-0.npy").write_bytes(split.encode() * 200_000)
    return tmp_path / "data"


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoints": "s3://bucket/states"},
        {"weights__file": "/tmp/copy.h5"},
    ],
)
def test_location_of_the_inputs_does_not_count(data: Path, changes: dict[str, Any]) -> None:
    copied = shutil.copytree(data, data.with_name("copied"))
    assert fingerprint(fn_args(copied, **changes)) == fingerprint(fn_args(data))


@pytest.mark.parametrize(
    "changes", [{"training__epochs": 4}, {"weights__sha256": "13"}, {"name": "other"}]
)
def test_options_count(data: Path, changes: dict[str, Any]) -> None:
    assert fingerprint(fn_args(data, **changes)) != fingerprint(fn_args(data))


def test_tuned_hyperparameters_count(data: Path) -> None:
    tuned = [{"values": {"dense": size, "dropout": 0.2}} for size in ("", "64")]
    names = {fingerprint(fn_args(data, hyperparameters=values)) for values in (None, *tuned)}
    assert len(names) == 3


@pytest.mark.parametrize("position", [0, -1])
def test_content_of_the_inputs_counts(data: Path, position: int) -> None:
    before = fingerprint(fn_args(data))
    file = data / "train" / "features-0.npy"
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)
    assert fingerprint(fn_args(data)) != before
    (data / "train" / "features-1.npy").write_bytes(b"one view more")
    assert len({before, fingerprint(fn_args(data))}) == 2
