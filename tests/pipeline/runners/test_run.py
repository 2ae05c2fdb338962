import json
from pathlib import Path

import pytest

from pipeline.config_file import load_config
from pipeline.runners.data_checks import check_boxes
from schema.errors import PneumoError


def records(folder: Path, rows: list[tuple[str, int | None]]) -> Path:
    lines = [
        json.dumps({"split": split, **({} if boxes is None else {"boxes": boxes})})
        for split, boxes in rows
    ]
    (folder / "manifest.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


GOOD = [("train", 0), ("train", 2), ("val", 1), ("val", 0), ("test", 0)]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (GOOD, ""),
        ([], "'train' has 0 images with a box and 0 without"),
        ([("train", None), ("val", None)], "'train' has 0 images with a box and 1 without"),
        (GOOD[1:], "'train' has 1 images with a box and 0 without"),
        ([("train", 0), ("train", 2), ("val", 0)], "'val' has 0 images with a box and 1 without"),
    ],
)
def test_a_located_task_needs_images_with_boxes_and_without(
    rows: list[tuple[str, int | None]], says: str, tmp_path: Path
) -> None:
    folder = records(tmp_path, rows)
    check_boxes(load_config("demo"), folder)  # other tasks don't ask
    config = load_config("locate")
    if not says:
        check_boxes(config, folder)
        return
    with pytest.raises(PneumoError, match=says) as caught:
        check_boxes(config, folder)
    assert "\n" not in str(caught.value)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="needs both"):
        check_boxes(load_config("locate"), tmp_path)
