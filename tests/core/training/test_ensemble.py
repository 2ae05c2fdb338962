"""What names the state of a training: its inputs and options, not where they lie."""

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
    "weights": {"kind": "file", "file": "/here/w.h5", "sha256": "12"},
    "checkpoints": "/here/states",
}


def asked(folder: Path, hyperparameters: Any = None, **changes: Any) -> Any:
    config = {
        key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        at = config
        for parent in parents:
            at = at[parent]
        at[last] = value
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
def test_where_inputs_lie_does_not_count(data: Path, changes: dict[str, Any]) -> None:
    copied = shutil.copytree(data, data.with_name("copied"))
    assert fingerprint(asked(copied, **changes)) == fingerprint(asked(data))


@pytest.mark.parametrize(
    "changes", [{"training__epochs": 4}, {"weights__sha256": "13"}, {"name": "other"}]
)
def test_what_is_learned_counts(data: Path, changes: dict[str, Any]) -> None:
    assert fingerprint(asked(data, **changes)) != fingerprint(asked(data))


def test_tuned_hyperparameters_count(data: Path) -> None:
    """Or a head of other sizes would be resumed."""
    tuned = [{"values": {"dense": size, "dropout": 0.2}} for size in ("", "64")]
    names = {fingerprint(asked(data, hyperparameters=of)) for of in (None, *tuned)}
    assert len(names) == 3


@pytest.mark.parametrize("at", [0, -1])
def test_other_records_count(data: Path, at: int) -> None:
    before = fingerprint(asked(data))
    file = data / "train" / "features-0.npy"
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    assert fingerprint(asked(data)) != before
    (data / "train" / "features-1.npy").write_bytes(b"one view more")
    assert len({before, fingerprint(asked(data))}) == 2
