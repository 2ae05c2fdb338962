import json
from pathlib import Path

import pytest

from pipeline.config_file import load_config
from pipeline.runners.data_checks import check_boxes
from pipeline.runners.run import check_layers
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


MOBILE = ["model.backbone=MobileNet", "model.image_size=64"]
MEMBERS = (
    "model.members=[{backbone: MobileNet, trainable_from: input}, "
    "{backbone: MobileNet, trainable_from: conv_pw_99_relu}]"
)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (
            "xception",
            [*MOBILE, "training.fine_tune.trainable_from=conv_pw_2_rel"],
            r"^trainable_from: MobileNet cannot be split at 'conv_pw_2_rel'; did you mean conv",
        ),
        ("xception", [*MOBILE, "training.embedding.layer=mixed7"], r"embedding\.layer: MobileNet"),
        ("best", [MEMBERS], "MobileNet cannot be split at 'conv_pw_99_relu'"),
    ],
)
def test_unknown_layers_are_found_before_the_graph(
    config: str, changes: list[str], message: str
) -> None:
    with pytest.raises(PneumoError, match=message):
        check_layers(load_config(config, changes))


@pytest.mark.parametrize("layer", ["default", "input", "top", "conv_pw_3_relu"])
def test_layers_of_the_backbone_are_accepted(layer: str) -> None:
    tune = f"training.fine_tune={{trainable_from: {layer}, source: images}}"
    check_layers(load_config("xception", [*MOBILE, tune]))
