"""The custom job that Vertex AI would run: its command, run here, with processes for machines."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.trainer.vertex import VertexExecutor, job_config
from components.trainer.vertex_options import VertexTraining
from schema import storage
from tests.support import stores
from tests.support.transformed import Site, write_site

SIZE = 32
IMAGE = "registry.example/pneumo-tfx:1"
TUNE = {"from_cut": "block_16_expand", "source": "images", "epochs": 2, "batch_size": 8}
_ROOT = str(Path(__file__).parents[3])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"), {"train": 26, "val": 9}, SIZE, files=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    with stores.s3(tmp_path_factory.mktemp("s3")) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found


def config(checkpoints: str, distribution: str) -> dict[str, Any]:
    from components.evaluation.options import EvaluationOptions
    from components.trainer.options import ModelOptions, TrainingOptions
    from components.trainer.weights import Weights
    from schema.labels import BINARY

    model = ModelOptions(trunk="MobileNetV2", weights="random", image_size=SIZE, dense=(8,))
    training = TrainingOptions.model_validate(
        {"epochs": 2, "batch_size": 8, "fine_tune": TUNE, "distribution": distribution}
    )
    return {
        "name": "small",
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "evaluation": EvaluationOptions().model_dump(mode="json"),
        "weights": Weights("random").to_dict(),
        "task": BINARY.to_dict(),
        "image_size": SIZE,
        "cut": TUNE["from_cut"],
        "synthetic": True,
        "checkpoints": checkpoints,
    }


def job(site: Site, root: str) -> dict[str, Any]:
    """What TFX's extension sends to Vertex AI, as the node would have it send."""
    from tfx.extensions.google_cloud_ai_platform import training_clients
    from tfx.extensions.google_cloud_ai_platform.trainer import executor as extension
    from tfx.types import artifact_utils, standard_artifacts
    from tfx.utils import name_utils

    examples, graph = standard_artifacts.Examples(), standard_artifacts.TransformGraph()
    examples.split_names = artifact_utils.encode_split_names(["train", "val"])
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    model, model_run = standard_artifacts.Model(), standard_artifacts.ModelRun()
    for artifact, source, name in (
        (examples, site.graph.parent / "examples", "examples"), (graph, site.graph, "graph"),
        (model, None, "model"), (model_run, None, "run"),
    ):  # fmt: skip
        artifact.uri = f"{root}/{name}"
        if source is not None:
            storage.put(source, artifact.uri)
    options = VertexTraining.model_validate(
        {"chief": {"machine_type": "a2-highgpu-1g", "accelerator_type": "NVIDIA_TESLA_A100",
                   "accelerator_count": 1}, "workers": 1}
    )  # fmt: skip
    own = config(f"{root}/checkpoints", "multi_worker") | job_config(
        options, name="small-training", image=IMAGE, project="p", region="europe-west4"
    )
    # Only the connection is left out: there is no Vertex AI here.
    client = training_clients.VertexJobClient.__new__(training_clients.VertexJobClient)
    arguments = copy.deepcopy(own[extension.TRAINING_ARGS_KEY])
    arguments.pop("project")
    return client.create_training_job(
        {"examples": [examples], "transform_graph": [graph]},
        {"model": [model], "model_run": [model_run]},
        {
            "run_fn": "components.trainer.run_fn.run_fn",
            "train_args": json.dumps({"splits": ["train"]}),
            "eval_args": json.dumps({"splits": ["val"]}),
            "custom_config": json.dumps(own),
        },
        name_utils.get_full_name(VertexExecutor()._GetExecutorClass()),
        arguments, None, {},
    )  # fmt: skip


def run_pools(job: dict[str, Any], folder: Path) -> list[tuple[int, str]]:
    """Each machine of the pools as a process, with the TF_CONFIG that Vertex AI gives."""
    names = ("chief", "worker")  # of the first pool and the second
    pools = dict(zip(names, job["job_spec"]["worker_pool_specs"], strict=True))
    cluster = {
        name: [f"127.0.0.1:{stores.free_port()}" for _ in range(pool["replica_count"])]
        for name, pool in pools.items()
    }
    running = []
    for name, pool in pools.items():
        python, *command = pool["container_spec"]["command"]
        assert python == "python"
        told = {"cluster": cluster, "task": {"type": name, "index": 0}, "environment": "cloud"}
        with (folder / f"{name}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, *command], stdout=log, stderr=log, cwd=folder,
                    env={**os.environ, "TF_CONFIG": json.dumps(told), "PYTHONPATH": _ROOT,
                         "CUDA_VISIBLE_DEVICES": ""},
                )
            )  # fmt: skip
    status = [process.wait(900) for process in running]
    logs = [(folder / f"{name}.log").read_text() for name in names]
    return list(zip(status, logs, strict=True))


@pytest.mark.slow
def test_the_command_of_the_job_trains_the_model_from_a_store(
    site: Site, store: stores.Store, tmp_path: Path
) -> None:
    """Two processes with artifacts in an object store, against `run_fn` here."""
    from google.cloud.aiplatform_v1.types import CustomJob
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.trainer.run_fn import run_fn
    from serving.predict import load_model, predict_files

    root = f"{store.root}/runs"
    sent = job(site, root)
    CustomJob(sent)  # raises where a field is unknown or of another type
    for status, log in run_pools(sent, tmp_path):
        assert status == 0, log[-3000:]
    found = storage.fetch(root, tmp_path / "found")
    assert {path.name for path in found.iterdir()} == {"examples", "graph", "model", "run"}

    alone = tmp_path / "alone"
    run_fn(
        FnArgs(
            train_files=[site.examples["train"]],
            eval_files=[site.examples["val"]],
            transform_output=str(site.graph),
            serving_model_dir=str(alone / "model"),
            model_run_dir=str(alone / "run"),
            custom_config=config(str(alone / "checkpoints"), "none"),
        )
    )
    curves, expected = (
        json.loads((folder / "run" / "history.json").read_text())["phases"]
        for folder in (found, alone)
    )
    for phase in ("head", "fine_tune"):
        for name in ("loss", "val_loss"):
            np.testing.assert_allclose(
                curves[phase][name], expected[phase][name], rtol=1e-5, err_msg=f"{phase} {name}"
            )
    answers = [
        [answer.probabilities for answer in predict_files(load_model(model), site.images["val"])]
        for model in (found / "model" / "Format-Serving", alone / "model")
    ]
    np.testing.assert_allclose(
        *[[list(of.values()) for of in answer] for answer in answers], atol=1e-4
    )


def test_the_compiled_node_starts_the_job() -> None:
    from components.trainer.executor import RankExecutor
    from tests.pipeline.kubeflow.compiled import container_of, properties_of, spec_of

    spec = spec_of("demo", *VERTEX, target="vertex")
    arguments = container_of(spec, "Trainer")["args"]
    at = arguments[arguments.index("--executor_class_path") + 1]
    assert at == "components.trainer.vertex.VertexExecutor"
    assert VertexExecutor()._GetExecutorClass() is RankExecutor
    told = json.loads(properties_of(spec, "Trainer", {})["custom_config"])
    assert told["ai_platform_enable_vertex"] is True
    assert told["ai_platform_vertex_region"] == "europe-west4"
    given = told["ai_platform_training_args"]
    assert given["project"] == "p"
    pools = given["job_spec"]["worker_pool_specs"]
    assert [pool["replica_count"] for pool in pools] == [1, 3]
    assert {pool["container_spec"]["image_uri"] for pool in pools} == {
        "registry.example/pneumo-tfx:1"
    }
    assert pools[0]["machine_spec"] == {
        "machine_type": "n1-standard-8", "accelerator_type": "NVIDIA_TESLA_T4",
        "accelerator_count": 1,
    }  # fmt: skip
    assert given["job_spec"]["scheduling"]["timeout"] == "86400s"


def test_artifacts_stay_where_the_machines_of_the_job_see_them() -> None:
    from pipeline.kubeflow.entry import works_here

    assert not works_here("components.trainer.vertex.VertexExecutor", False, [])
    assert works_here("components.trainer.executor.LaunchExecutor", False, [])


VERTEX = (
    "deploy.project=p", "deploy.region=europe-west4", "training.fine_tune={}",
    "training.distribution=multi_worker",
    "deploy.vertex_training={chief: {accelerator_type: NVIDIA_TESLA_T4, accelerator_count: 1}, "
    "workers: 3}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("left_out", "more", "target", "line"),
    [
        (0, (), "vertex", "set deploy.project and deploy.region"),
        (None, (), "kubeflow", "is of --target vertex"),
        (None, ("training.distribution=none",), "vertex", "3 beside the chief have nothing to do"),
    ],
)
def test_a_job_that_cannot_be_is_one_line(
    left_out: int | None, more: tuple[str, ...], target: Any, line: str
) -> None:
    from pipeline.kubeflow.training import vertex_job
    from schema.errors import PneumoError
    from tests.pipeline.kubeflow.compiled import config_of

    given = [text for i, text in enumerate(VERTEX) if i != left_out]
    with pytest.raises(PneumoError, match=r"^deploy\.vertex_training") as raised:
        vertex_job(config_of("demo", *given, *more), target, IMAGE)
    assert line in str(raised.value)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"chief": {"accelerator_type": "NVIDIA_TESLA_T4"}}, "belong together"),
        ({"chief": {"accelerator_count": 1}}, "belong together"),
        ({"workers": -1}, "greater than or equal to 0"),
        ({"machines": 3}, "Extra inputs are not permitted"),
    ],
)
def test_options(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        VertexTraining.model_validate(options)
