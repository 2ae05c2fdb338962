"""Task locate from phantoms to a SavedModel that answers with boxes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.models.explain.explanation import MAX_BOXES
from core.predictions import table
from tests.support.runs.processes import run_pipeline, summary

pytestmark = pytest.mark.slow  # a run that trains two detectors

CONFIG = """
name: locate-small
data: {task: locate}
model:
  backbone: MobileNet
  weights: random
  image_size: 64
  fit: pad
  detector: {levels: [conv_dw_11_relu, top], channels: 16, upsample: 1, epochs: 3, batch_size: 16}
training: {epochs: 3, seeds: [0, 5], embedding: {views: 1, batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}, challenge: {min: 0.0}}}
serving: {infra_validation: savedmodel}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, phantoms: Path) -> Path:
    folder = tmp_path_factory.mktemp("locate")
    file = folder / "locate.yaml"
    file.write_text(CONFIG)
    run_pipeline(file, phantoms, folder / "work")
    return folder / "work"


def outputs(work: Path, node: str, key: str) -> Path:
    nodes = {of["name"]: of for of in summary(work)["nodes"]}
    return Path(nodes[node]["outputs"][key][0])


def test_the_label_of_a_record_is_whether_it_has_a_box(work: Path) -> None:
    rows = table.read(outputs(work, "Scorer", "predictions") / table.FILE).to_pydict()
    counts = [len(boxes) // 4 for boxes in rows["truth_boxes"]]
    assert 0 < sum(count > 0 for count in counts) < len(counts)
    assert rows["positive"] == rows["label"] == [int(count > 0) for count in counts]


def test_predictions_of_val_and_test_hold_boxes(work: Path) -> None:
    run = outputs(work, "Trainer", "model_run")
    for file in (
        run / "val_predictions.parquet",
        outputs(work, "Scorer", "predictions") / table.FILE,
    ):
        rows = table.read(file).to_pydict()
        assert any(rows["boxes"])
        for boxes, scores in zip(rows["boxes"], rows["box_scores"], strict=True):
            found = np.reshape(boxes, (-1, 4))
            assert len(found) == len(scores) <= MAX_BOXES
            assert (np.diff(scores) <= 0).all()
            assert (found[:, :2] <= found[:, 2:]).all()
            assert found.size == 0 or (found.min() >= 0 and found.max() <= 1)


def test_training_log(work: Path) -> None:
    run = outputs(work, "Trainer", "model_run")
    facts = json.loads((run / "training.json").read_text())
    detector = facts["detector"]
    assert [member["seed"] for member in detector["members"]] == [0, 5]
    assert detector["levels"]["conv_dw_11_relu"] == [4, 4, 512]
    assert detector["boxes"]["train"] > 0
    assert facts["seconds"]["detector"] > 0
    history = json.loads((run / "history" / "5.json").read_text())
    assert set(history["phases"]) == {"head", "detector"}
    assert history["accuracy"] == history["phases"]["head"]["accuracy"]
    assert len(history["phases"]["detector"]["val_heat_loss"]) == 3


def test_the_model_answers_with_boxes_in_pixels(work: Path, phantoms: Path) -> None:
    import tensorflow as tf
    from PIL import Image

    model = outputs(work, "Trainer", "model") / "Format-Serving"
    about: dict[str, Any] = json.loads((model / "assets.extra" / "pneumo.json").read_text())
    assert about["task"]["located"]
    assert about["boxes"]["kind"] == "detector"
    assert set(about["boxes"]) >= {"threshold", "shrink", "combine", "nms_iou"}
    loaded = tf.saved_model.load(str(model))
    assert {"serving_default", "explain", "examples", "labels"} <= set(loaded.signatures)
    rows = table.read(outputs(work, "Scorer", "predictions") / table.FILE).to_pydict()
    # A model that hardly learned shows few boxes; ask about the images with the surest.
    order = np.argsort([-max(scores, default=0) for scores in rows["box_scores"]])[:3]
    files = [next(phantoms.rglob(Path(rows["filename"][i]).name)) for i in order]
    contents = tf.constant([file.read_bytes() for file in files])
    explained = {k: v.numpy() for k, v in loaded.signatures["explain"](contents).items()}
    served = {k: v.numpy() for k, v in loaded.signatures["serving_default"](contents).items()}
    np.testing.assert_allclose(served["boxes"], explained["boxes"])
    assert explained["heatmap"].ndim == 3
    for row, (i, file) in enumerate(zip(order, files, strict=True)):
        width, height = Image.open(file).size
        shown = explained["box_scores"][row] >= 0
        scored = np.array(rows["box_scores"][i])
        assert shown.sum() == (scored >= about["boxes"]["threshold"]).sum()
        expected = np.reshape(rows["boxes"][i], (-1, 4))[: shown.sum()]
        found = explained["boxes"][row][shown] / [height, width, height, width]
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_report_has_numbers_of_boxes(work: Path) -> None:
    page = outputs(work, "Report", "report")
    report = json.loads((page / "report.json").read_text())
    assert "challenge" in json.dumps(report)
    decision = outputs(work, "Gate", "blessing") / "decision.json"
    assert "challenge" in decision.read_text()


def test_records_without_boxes_are_refused_in_one_line(
    work: Path, tmp_path: Path, phantoms: Path
) -> None:
    config = work.parent / "locate.yaml"
    images = tmp_path / "chest_xray"  # without the table of boxes beside it
    shutil.copytree(phantoms / "chest_xray", images)
    done = run_pipeline(config, images, tmp_path / "work", check=False)
    assert done.returncode
    said = [line for line in done.stderr.splitlines() if "locate" in line]
    assert any("needs both" in line for line in said), done.stderr
