"""Runs a compiled pipeline task by task, each as the command of its container."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.config_file import load_config
from pipeline.kubeflow.compile import as_text, compile_spec
from schema import storage
from tests.support.runs.processes import NODES, metrics, run_pipeline, summary
from tests.support.stand_ins import stores
from tests.support.stand_ins.pipeline_spec import TaskResult
from tests.support.stand_ins.platform import Platform
from tests.support.stand_ins.stores import Store

# The parameters of the runs replace this gate, which blesses no model, and the number of epochs.
CONFIG = """
name: small
model: {backbone: InceptionV3, weights: random, image_size: 75}
training: {epochs: 9, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.999}}, against_blessed: {alpha: 1.0e-9}}
serving: {infra_validation: savedmodel}
deploy: {retries: 1}
"""
pytestmark = pytest.mark.slow  # runs a compiled pipeline twice, one process per task

PARAMETERS = {"epochs": 5, "gate_auc": 0.0}
TASKS = {name.replace("_", "-") for name in NODES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def config(folder: Path) -> Path:
    file = folder / "small.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture(scope="module")
def local(phantoms: Path, config: Path, folder: Path) -> Path:
    """Work folder of a local run with the same parameters; the other runs use its records."""
    work = folder / "local"
    run_pipeline(
        config,
        phantoms,
        work,
        f"training.epochs={PARAMETERS['epochs']}",
        f"evaluation.gate.auc.min={PARAMETERS['gate_auc']}",
    )
    return work


@dataclass(frozen=True)
class PipelineRun:
    """Outputs of a run of the compiled pipeline.

    Attributes:
      tasks: task -> result.
      report: `report.json`.
      card: `card.json`.
      predictions: predictions on the test split.
      pushed: version -> names of its files.
    """

    tasks: dict[str, TaskResult]
    report: dict[str, Any]
    card: dict[str, Any]
    predictions: Any
    pushed: dict[str, list[str]] = field(default_factory=dict)


def read_outputs(tasks: dict[str, TaskResult], serving: str, folder: Path) -> PipelineRun:
    table = storage.fetch(tasks["Scorer"].uri("predictions"), folder / "predictions")
    return PipelineRun(
        tasks,
        json.loads(storage.read_bytes(tasks["Report"].uri("report") + "/report.json")),
        json.loads(storage.read_bytes(tasks["ModelCard"].uri("card") + "/card.json")),
        pq.read_table(table / "predictions.parquet"),
        {
            name: storage.list_names(storage.join(serving, name))
            for name in storage.list_names(serving)
        },
    )


@pytest.fixture(scope="module")
def bucket(folder: Path, local: Path) -> Iterator[Store]:
    """An S3 store with the records."""
    (folder / "s3").mkdir()
    with stores.s3(folder / "s3") as store, pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        storage.put(local / "records", f"{store.root}/records")
        yield store


@pytest.fixture(scope="module")
def platform(bucket: Store, folder: Path) -> Platform:
    (folder / "kubeflow").mkdir()
    # The Trainer is killed while it exports, ImportExampleGen between its upload and its end.
    kills = {"Trainer": "Function `serve`", "ImportExampleGen": "uploaded output"}
    return Platform("kubeflow", folder / "kubeflow", bucket.environment, kills=kills)


@pytest.fixture(scope="module")
def spec(config: Path, bucket: Store) -> dict[str, Any]:
    """Content of the compiled file."""
    compiled = compile_spec(
        load_config(str(config)),
        "kubeflow",
        image="registry/pneumo-tfx:1",
        root=f"{bucket.root}/runs",
    )
    first, *_ = yaml.safe_load_all(as_text(compiled, "kubeflow"))
    return first


@pytest.fixture(scope="module")
def first(spec: dict[str, Any], platform: Platform, bucket: Store, folder: Path) -> PipelineRun:
    parameters = {"data": f"{bucket.root}/records", **PARAMETERS}
    tasks = platform.run(spec, f"{bucket.root}/runs", parameters)
    return read_outputs(tasks, f"{bucket.root}/runs/serving", folder / "first")


@pytest.fixture(scope="module")
def second(
    first: PipelineRun, config: Path, bucket: Store, local: Path, folder: Path
) -> PipelineRun:
    """A run as on Vertex AI, with the same records and one epoch less.

    Artifacts are on disk, because TFX's driver for Vertex AI would access the real gs://. Models
    are pushed to the same place as in the first run.
    """
    root, serving = folder / "vertex" / "root", f"{bucket.root}/runs/serving"
    root.mkdir(parents=True)
    compiled = compile_spec(
        load_config(str(config), [f"deploy.push_to={serving}"]),
        "vertex",
        image="registry/pneumo-tfx:1",
        root=str(root),
    )
    spec = json.loads(as_text(compiled, "vertex"))["pipelineSpec"]
    parameters = {"data": str(local / "records"), **PARAMETERS, "epochs": PARAMETERS["epochs"] - 1}
    tasks = Platform("vertex", folder / "vertex", bucket.environment).run(
        spec, str(root), parameters
    )
    return read_outputs(tasks, serving, folder / "second")


def test_every_node_ran_as_a_task(first: PipelineRun) -> None:
    assert first.tasks.keys() == TASKS


def test_the_report_equals_that_of_a_local_run(first: PipelineRun, local: Path) -> None:
    here, there = metrics(local), first.report
    own = {"pushed", "config", "training", "history"}  # contain paths and times
    assert {key: there[key] for key in there.keys() - own} == {
        key: here[key] for key in here.keys() - own
    }
    assert there["blessing"]["blessed"] is True
    assert yaml.safe_load(there["config"]) == yaml.safe_load(here["config"])


def test_predictions_equal_those_of_a_local_run(first: PipelineRun, local: Path) -> None:
    nodes = {node["name"]: node for node in summary(local)["nodes"]}
    here = pq.read_table(Path(nodes["Scorer"]["outputs"]["predictions"][0]) / "predictions.parquet")
    assert first.predictions.num_rows > 0
    assert first.predictions.sort_by("sha256").equals(here.sort_by("sha256"))


def test_parameters_take_effect(first: PipelineRun, spec: dict[str, Any]) -> None:
    defaults = spec["root"]["inputDefinitions"]["parameters"]
    assert defaults["epochs"]["defaultValue"] != PARAMETERS["epochs"]
    assert defaults["gate_auc"]["defaultValue"] != PARAMETERS["gate_auc"]
    assert "defaultValue" not in defaults["data"]
    training = first.report["training"]
    assert max(member["epochs"] for member in training["members"]) <= PARAMETERS["epochs"]
    assert first.tasks["Gate"].artifacts["blessing"]["metadata"]["blessed"] == 1


def test_a_killed_task_is_retried(first: PipelineRun, platform: Platform) -> None:
    assert not platform.kills
    retried = {name: task.attempts for name, task in first.tasks.items() if task.attempts != 1}
    assert retried == {"Trainer": 2, "ImportExampleGen": 2}


def test_artifacts_are_only_in_the_store(first: PipelineRun, bucket: Store, folder: Path) -> None:
    for name, task in first.tasks.items():
        for key, artifact in task.artifacts.items():
            assert artifact["uri"].startswith(f"{bucket.root}/runs/pneumo-small/run-"), name
            assert str(folder) not in json.dumps(artifact.get("metadata", {})), (name, key)
    assert str(folder) not in json.dumps(first.card)
    assert {row["folder"].startswith(bucket.root) for row in first.card["lineage"]} == {True}


def test_the_pushed_model_is_complete(first: PipelineRun) -> None:
    ((version, names),) = first.pushed.items()
    assert {"saved_model.pb", "variables", "assets.extra"} <= set(names)
    pushed = first.tasks["Pusher"].artifacts["pushed_model"]["metadata"]
    assert pushed["pushed_version"] == version
    assert pushed["pushed_destination"].endswith(f"/serving/{version}")


def test_checkpoints_are_deleted_after_training(first: PipelineRun, bucket: Store) -> None:
    assert storage.list_names(f"{bucket.root}/runs/checkpoints") == []


def test_the_second_run_compares_with_the_first(first: PipelineRun, second: PipelineRun) -> None:
    baseline = second.tasks["latest-blessed-model"].artifacts["model"]["metadata"]
    assert baseline["found"] == 1
    assert baseline["version"] in first.pushed
    assert second.report["blessing"]["tests"]
    assert first.report["blessing"]["tests"] == []
    assert first.tasks["latest-blessed-model"].artifacts["model"]["metadata"]["found"] == 0


def test_embeddings_on_vertex_equal_those_of_a_local_run(second: PipelineRun, local: Path) -> None:
    nodes = {node["name"]: node for node in summary(local)["nodes"]}
    here, there = (
        {
            file.relative_to(embeddings): file.read_bytes()
            for file in Path(embeddings).rglob("*.npy")
        }
        for embeddings in (
            nodes["Embedder"]["outputs"]["embeddings"][0],
            second.tasks["Embedder"].uri("embeddings"),
        )
    )
    assert len(here) > 1
    assert here == there


def test_the_driver_runs_on_vertex_only(second: PipelineRun, first: PipelineRun) -> None:
    assert "input_fingerprint" in second.tasks["ImportExampleGen"].parameters
    assert "input_fingerprint" not in first.tasks["ImportExampleGen"].parameters


def test_the_second_model_is_a_newer_version(first: PipelineRun, second: PipelineRun) -> None:
    assert second.report["blessing"]["blessed"]  # alpha: no drop counts
    assert len(second.pushed) == 2
    assert max(second.pushed, key=int) not in first.pushed
