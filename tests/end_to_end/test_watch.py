"""`pneumo watch --once` starts a run of the pipeline, once."""

import json
from pathlib import Path

import pytest

from tests.support.runs.processes import pneumo, summary

CONFIG = """
name: watched
model: {backbone: MobileNet, weights: random, image_size: 64}
training: {epochs: 1, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
serving: {infra_validation: savedmodel}
"""


@pytest.mark.slow  # a whole run of the pipeline
def test_new_images_start_a_run(phantoms: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = ["--once", "--config", tmp_path / "config.yaml", "--inbox", phantoms]
    options += ["--data", tmp_path / "data", "--workdir", tmp_path / "work", "--settle", "0"]

    assert "new images from" in pneumo("watch", *options).stdout
    pushed = summary(tmp_path / "work")["pushed"]
    assert pushed
    assert pneumo("watch", *options).stdout.startswith("waiting: at least 1 new images")
    assert summary(tmp_path / "work")["pushed"] == pushed
    state = json.loads((tmp_path / "work" / "watch.json").read_text())
    assert len(state["images"]) == len(list(phantoms.rglob("*.jpeg")))
