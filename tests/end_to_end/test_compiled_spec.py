"""The compiled graph, executed: every task the command of its container, all through the spec."""

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
from tests.support.runs.processes import NODES, metrics, pneumo, summary
from tests.support.stand_ins import stores
from tests.support.stand_ins.spec_interpreter import Executed, Platform
from tests.support.stand_ins.stores import Store

# Compiled with a gate that refuses; the runs give another bound, and fewer epochs.
CONFIG = """
name: small
model: {backbone: InceptionV3, weights: random, image_size: 75}
training: {epochs: 9, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.999}}, against_blessed: {alpha: 1.0e-9}}
serving: {infra_validation: savedmodel}
deploy: {retries: 1}
"""
pytestmark = pytest.mark.slow  # two runs of a compiled graph, a process for each task

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
    """The work folder of an ordinary run with the same choices; its records serve all."""
    work = folder / "local"
    pneumo(
        "run",
        "--config",
        config,
        "--data",
        phantoms,
        "--workdir",
        work,
        "--set",
        f"training.epochs={PARAMETERS['epochs']}",
        "--set",
        f"evaluation.gate.auc.min={PARAMETERS['gate_auc']}",
    )
    return work


@dataclass(frozen=True)
class Ran:
    """A run of the graph, and what it left where clients look.

    Attributes:
      of: task -> how it went.
      page: `report.json`.
      card: `card.json`.
      table: answers on test.
      served: version -> names of its files.
    """

    of: dict[str, Executed]
    page: dict[str, Any]
    card: dict[str, Any]
    table: Any
    served: dict[str, list[str]] = field(default_factory=dict)


def left(of: dict[str, Executed], serving: str, folder: Path) -> Ran:
    """Reads what a run left in its store."""
    table = storage.fetch(of["Scorer"].uri("predictions"), folder / "predictions")
    return Ran(
        of,
        json.loads(storage.read_bytes(of["Report"].uri("report") + "/report.json")),
        json.loads(storage.read_bytes(of["ModelCard"].uri("card") + "/card.json")),
        pq.read_table(table / "predictions.parquet"),
        {
            name: storage.list_names(storage.join(serving, name))
            for name in storage.list_names(serving)
        },
    )


@pytest.fixture(scope="module")
def bucket(folder: Path, local: Path) -> Iterator[Store]:
    """A store that holds the records; this process is its client too."""
    (folder / "s3").mkdir()
    with stores.s3(folder / "s3") as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        storage.put(local / "records", f"{found.root}/records")
        yield found


@pytest.fixture(scope="module")
def platform(bucket: Store, folder: Path) -> Platform:
    (folder / "kubeflow").mkdir()
    # One is killed when it has trained and exports, one after its upload and before it says so.
    kills = {"Trainer": "Function `serve`", "ImportExampleGen": "uploaded output"}
    return Platform("kubeflow", folder / "kubeflow", bucket.environment, kills=kills)


@pytest.fixture(scope="module")
def spec(config: Path, bucket: Store) -> dict[str, Any]:
    """What stands in the file that a user gets."""
    compiled = compile_spec(
        load_config(str(config)),
        "kubeflow",
        image="registry/pneumo-tfx:1",
        root=f"{bucket.root}/runs",
    )
    first, *_ = yaml.safe_load_all(as_text(compiled, "kubeflow"))
    return first


@pytest.fixture(scope="module")
def first(spec: dict[str, Any], platform: Platform, bucket: Store, folder: Path) -> Ran:
    given = {"data": f"{bucket.root}/records", **PARAMETERS}
    of = platform.run(spec, f"{bucket.root}/runs", given)
    return left(of, f"{bucket.root}/runs/serving", folder / "first")


@pytest.fixture(scope="module")
def second(first: Ran, config: Path, bucket: Store, local: Path, folder: Path) -> Ran:
    """The same records and an epoch less, as Vertex AI runs it.

    Artifacts on a disk: TFX's driver, which Vertex AI calls, would ask the real gs://. Models are
    pushed to where the first run pushed its own.
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
    given = {"data": str(local / "records"), **PARAMETERS, "epochs": PARAMETERS["epochs"] - 1}
    of = Platform("vertex", folder / "vertex", bucket.environment).run(spec, str(root), given)
    return left(of, serving, folder / "second")


def test_every_node_is_a_task_and_ran(first: Ran) -> None:
    assert first.of.keys() == TASKS


def test_the_report_is_that_of_a_local_run(first: Ran, local: Path) -> None:
    """To the last bit: seeds are fixed, and copies change nothing."""
    here, there = metrics(local), first.page
    own = {"pushed", "config", "training", "history"}  # they have places and times
    assert {key: there[key] for key in there.keys() - own} == {
        key: here[key] for key in here.keys() - own
    }
    assert there["blessing"]["blessed"] is True
    assert yaml.safe_load(there["config"]) == yaml.safe_load(here["config"])


def test_predictions_are_those_of_a_local_run(first: Ran, local: Path) -> None:
    nodes = {node["name"]: node for node in summary(local)["nodes"]}
    here = pq.read_table(Path(nodes["Scorer"]["outputs"]["predictions"][0]) / "predictions.parquet")
    assert first.table.num_rows > 0
    assert first.table.sort_by("sha256").equals(here.sort_by("sha256"))


def test_parameters_take_effect(first: Ran, spec: dict[str, Any]) -> None:
    defaults = spec["root"]["inputDefinitions"]["parameters"]
    assert defaults["epochs"]["defaultValue"] != PARAMETERS["epochs"]
    assert defaults["gate_auc"]["defaultValue"] != PARAMETERS["gate_auc"]
    assert "defaultValue" not in defaults["data"]
    training = first.page["training"]
    assert max(member["epochs"] for member in training["members"]) <= PARAMETERS["epochs"]
    assert first.of["Gate"].artifacts["blessing"]["metadata"]["blessed"] == 1


def test_a_task_that_was_killed_ran_again(first: Ran, platform: Platform) -> None:
    assert not platform.kills
    tried = {name: ran.attempts for name, ran in first.of.items() if ran.attempts != 1}
    assert tried == {"Trainer": 2, "ImportExampleGen": 2}


def test_artifacts_lie_in_the_store_alone(first: Ran, bucket: Store, folder: Path) -> None:
    for name, ran in first.of.items():
        for key, artifact in ran.artifacts.items():
            assert artifact["uri"].startswith(f"{bucket.root}/runs/pneumo-small/run-"), name
            assert str(folder) not in json.dumps(artifact.get("metadata", {})), (name, key)
    assert str(folder) not in json.dumps(first.card)
    assert {row["folder"].startswith(bucket.root) for row in first.card["lineage"]} == {True}


def test_the_model_is_pushed_whole(first: Ran) -> None:
    ((version, names),) = first.served.items()
    assert {"saved_model.pb", "variables", "assets.extra"} <= set(names)
    pushed = first.of["Pusher"].artifacts["pushed_model"]["metadata"]
    assert pushed["pushed_version"] == version
    assert pushed["pushed_destination"].endswith(f"/serving/{version}")


def test_checkpoints_are_gone_when_training_has_ended(first: Ran, bucket: Store) -> None:
    assert storage.list_names(f"{bucket.root}/runs/checkpoints") == []


def test_the_second_run_finds_the_first_and_compares(first: Ran, second: Ran) -> None:
    found = second.of["latest-blessed-model"].artifacts["model"]["metadata"]
    assert found["found"] == 1
    assert found["version"] in first.served
    assert second.page["blessing"]["tests"]
    assert first.page["blessing"]["tests"] == []
    assert first.of["latest-blessed-model"].artifacts["model"]["metadata"]["found"] == 0


def test_embeddings_are_those_of_a_local_run_there_too(second: Ran, local: Path) -> None:
    nodes = {node["name"]: node for node in summary(local)["nodes"]}
    here, there = (
        {file.relative_to(of): file.read_bytes() for file in Path(of).rglob("*.npy")}
        for of in (
            nodes["Embedder"]["outputs"]["embeddings"][0],
            second.of["Embedder"].uri("embeddings"),
        )
    )
    assert len(here) > 1
    assert here == there


def test_a_driver_ran_first_where_the_platform_calls_one(second: Ran, first: Ran) -> None:
    assert "input_fingerprint" in second.of["ImportExampleGen"].given
    assert "input_fingerprint" not in first.of["ImportExampleGen"].given


def test_the_second_model_is_a_version_above_the_first(first: Ran, second: Ran) -> None:
    assert second.page["blessing"]["blessed"]  # alpha: no drop counts
    assert len(second.served) == 2
    assert max(second.served, key=int) not in first.served
