import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.training.data.teacher import add_teacher, find_teacher, images_digest
from core.training.loop.batches import LabeledRows
from core.training.options import DistillOptions
from schema.errors import PneumoError
from schema.labels import BINARY
from schema.model_folder import GRAPH, MODEL_INFO

INFO: dict[str, Any] = {
    "classes": ["NORMAL", "PNEUMONIA"],
    "positive": ["PNEUMONIA"],
    "image_size": 64,
    "fit": "pad",
}


def write(folder: Path, **changes: Any) -> Path:
    for file, text in (
        (GRAPH, ""),
        (MODEL_INFO, json.dumps({**INFO, **changes})),
        ("variables/variables.data-00000-of-00001", "weights"),
    ):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return folder


def test_newest_version(tmp_path: Path) -> None:
    write(tmp_path / "1")
    version = write(tmp_path / "2")
    found = find_teacher(DistillOptions(teacher=str(tmp_path)), BINARY, 64, "pad")
    assert found.folder == version
    assert found == find_teacher(DistillOptions(teacher=str(version)), BINARY, 64, "pad")
    (version / "variables/variables.data-00000-of-00001").write_text("others")
    again = find_teacher(DistillOptions(teacher=str(version)), BINARY, 64, "pad")
    assert again.sha256 != found.sha256


@pytest.mark.parametrize(
    "changes",
    [{"classes": ["A", "B"]}, {"positive": ["NORMAL"]}, {"image_size": 96}, {"fit": "stretch"}],
)
def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    options = DistillOptions(teacher=str(write(tmp_path / "1", **changes)))
    with pytest.raises(PneumoError, match=next(iter(changes))) as caught:
        find_teacher(options, BINARY, 64, "pad")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "."])
def test_a_missing_teacher_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(PneumoError, match="contains no SavedModel"):
        find_teacher(DistillOptions(teacher=str(tmp_path / name)), BINARY, 64, "pad")


def test_digest_ignores_the_order() -> None:
    assert images_digest(["b", "a"]) == images_digest(["a", "b"])
    assert images_digest(["a"]) != images_digest(["a", "b"]) != images_digest([])


def test_targets_of_both() -> None:
    targets = np.eye(2, dtype=np.float32)
    rows = LabeledRows((), targets, np.ones(2, np.float32), np.arange(2))
    teacher = np.array([[0.3, 0.7], [0.6, 0.4]], np.float32)
    train, val = add_teacher(rows, rows, teacher)
    np.testing.assert_array_equal(train.targets, np.concatenate([targets, teacher], axis=1))
    np.testing.assert_array_equal(val.targets[:, :2], targets)
    assert add_teacher(rows, rows, None) == (rows, rows)
