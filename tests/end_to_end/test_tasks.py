"""Several tasks and heads in one work folder: the backbone runs once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.predictions import table
from tests.support.runs.processes import cached, pneumo, summary

pytestmark = pytest.mark.slow  # five runs

CONFIG = """
name: NAME
data: {task: TASK}
model: {backbone: MobileNetV2, weights: random, image_size: 64}
training: {epochs: 4, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tasks") / "work"


def run(work: Path, phantoms: Path, task: str, *overrides: str) -> dict[str, Any]:
    file = work.parent / f"{task}.yaml"
    name = task.replace("_", "-")
    file.write_text(CONFIG.replace("NAME", name).replace("TASK", task))
    arguments = [argument for override in overrides for argument in ("--set", override)]
    pneumo("run", "--config", file, "--data", phantoms, "--workdir", work, *arguments)
    return {node["name"]: node for node in summary(work)["nodes"]}


def facts_of(nodes: dict[str, Any]) -> dict[str, Any]:
    folder = Path(nodes["Trainer"]["outputs"]["model_run"][0])
    return json.loads((folder / "training.json").read_text())


def test_tasks_share_transform_and_embeddings(work: Path, phantoms: Path) -> None:
    shared = {"ImportExampleGen", "StatisticsGen", "Transform", "Embedder"}
    for i, task in enumerate(["binary", "three_class", "two_stage"]):
        nodes = run(work, phantoms, task)
        answered = {name for name, was in cached(work).items() if was}
        assert (shared <= answered) == (i > 0), f"{task}: {answered}"
        assert "Trainer" not in answered
        # The model of another task is no model to beat.
        assert not nodes["latest_blessed_model"]["outputs"].get("model")
        facts = facts_of(nodes)
        assert facts["task"]["name"] == task
        rows = table.read(
            Path(nodes["Scorer"]["outputs"]["predictions"][0]) / table.FILE
        ).to_pydict()
        probabilities = np.array(rows["probabilities"])
        assert probabilities.shape[1] == len(facts["classes"])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        positive = [pathogen != "normal" for pathogen in rows["pathogen"]]
        assert [value == 1 for value in rows["positive"]] == positive


def test_a_task_without_normals_and_a_tuner_over_its_head(work: Path, phantoms: Path) -> None:
    nodes = run(
        work,
        phantoms,
        "bacteria_virus",
        "tuner={trials: 3, epochs: 2, dense: [[], [8]]}",
        "training.seeds=[0, 5]",
        "model.pooling=both",
    )
    tuner = Path(nodes["Tuner"]["outputs"]["best_hyperparameters"][0])
    best = json.loads((tuner / "best_hyperparameters.txt").read_text())["values"]
    facts = facts_of(nodes)
    assert facts["tuned"]["learning_rate"] == best["learning_rate"]
    assert facts["tuned"]["dropout"] == best["dropout"]
    assert [str(size) for size in facts["tuned"]["dense"]] == best["dense"].split("-") * bool(
        best["dense"]
    )
    assert len(facts["members"]) == 2
    rows = table.read(Path(nodes["Scorer"]["outputs"]["predictions"][0]) / table.FILE).to_pydict()
    for pathogen, label in zip(rows["pathogen"], rows["label"], strict=True):
        assert label == {"normal": -1, "unknown": -1, "virus": 0, "bacteria": 1}[pathogen]


def test_a_custom_task_trained_from_images_from_random_weights(work: Path, phantoms: Path) -> None:
    nodes = run(
        work,
        phantoms,
        "custom",
        "data.classes={REST: [normal, virus], BACTERIA: [bacteria]}",
        "data.positive=[BACTERIA]",
        "training.epochs=1",
        "training.fine_tune={trainable_from: input, source: images, epochs: 1, "
        "batch_norm: trained}",
    )
    assert "Embedder" not in nodes
    facts = facts_of(nodes)
    assert facts["classes"] == ["REST", "BACTERIA"]
    # All of the network learned.
    assert facts["parameters"]["trainable"] > 0.9 * facts["parameters"]["total"]
