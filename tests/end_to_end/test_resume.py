"""SIGKILL in the middle of fine-tuning, and the same command again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.processes import metrics, pneumo, summary

pytestmark = pytest.mark.slow  # three trainings with fine-tuning

CONFIG = """
name: tuned
data: {task: two_stage}
model: {backbone: MobileNetV2, weights: random, image_size: 64}
training:
  epochs: 3
  seeds: [0, 1]
  embedding: {views: 1, batch_size: 16}
  fine_tune:
    {trainable_from: block_13_expand, epochs: 5, batch_size: 8, learning_rate: 0.001,
     batch_norm: trained}
evaluation:
  resamples: 100
  operating_point: {rule: sensitivity, at_least: 0.9}
  refer: 0.1
  gate: {auc: {min: 0.0}}
"""
PATIENCE = 300  # seconds until the state to be killed in must have come


def training(work: Path) -> dict[str, Any]:
    nodes = {node["name"]: node for node in summary(work)["nodes"]}
    folder = Path(nodes["Trainer"]["outputs"]["model_run"][0])
    return json.loads((folder / "training.json").read_text())


def timeless(facts: dict[str, Any]) -> dict[str, Any]:
    """Without what the clock says."""
    facts = {key: value for key, value in facts.items() if key not in ("seconds", "embedding")}
    facts["members"] = [
        {key: value for key, value in member.items() if key != "seconds"}
        for member in facts["members"]
    ]
    return facts


@pytest.mark.parametrize("state", ["fine-tune-0.npz", "fine-tune-1.npz"])
def test_fine_tuning_goes_on_from_its_last_epoch(
    phantoms: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, state: str
) -> None:
    file = tmp_path / "tuned.yaml"
    file.write_text(CONFIG)

    def command(work: Path) -> list[str]:
        return ["run", "--config", str(file), "--data", str(phantoms), "--workdir", str(work)]

    whole = tmp_path_factory.getbasetemp() / "whole-tuned"
    if not (whole / "run.json").is_file():
        pneumo(*command(whole))
    work = tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *command(work)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while not list(work.glob(f"checkpoints/*/{state}")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no state was written"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (work / "run.json").exists()

    pneumo(*command(work))
    log = (work / "run.log").read_text()
    assert "resumes after epoch" in log
    for begun in ("head, seed 0 epoch 1/3:", "fine-tune, seed 0 epoch 1/5:"):
        assert log.count(begun) == 1, "what had ended was trained again"
    assert not list((work / "checkpoints").rglob("*.npz"))
    assert timeless(training(work)) == timeless(training(whole))
    assert metrics(work)["metrics"] == metrics(whole)["metrics"]
