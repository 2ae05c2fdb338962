"""`pneumo submit` through the platforms' own clients against servers on loopback."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.kubeflow.compile import as_text
from pipeline.kubeflow.options import Target
from tests.pipeline.kubeflow.compiled import job_of, spec_of
from tests.support.stand_ins.kubeflow_api import KubeflowApi, kubeflow_api
from tests.support.stand_ins.stores import Store, free_port, gcs
from tests.support.stand_ins.vertex_api import VertexApi, vertex_api

ROOT = "gs://pneumo/runs"


STRANGE = ("GOOGLE", "CLOUDSDK", "KF_", "PNEUMO_", "GRPC_", "STORAGE_", "AWS_")


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    error: str

    @property
    def line(self) -> str:
        """The one line of a refused command, which shows nothing else."""
        assert (self.status, self.out) == (2, ""), self
        assert len(self.error.strip().splitlines()) == 1, self.error
        assert self.error.startswith("pneumo: ")
        return self.error.strip()


def submit(*commands: list[str | Path], environment: dict[str, str] | None = None) -> list[Ran]:
    """Runs commands without what the caller's own environment knows."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(STRANGE)}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.commands.many"],
        input=json.dumps([["submit", *map(str, command)] for command in commands]),
        env={**clean, "NO_GCE_CHECK": "true", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr
    return [Ran(*result) for result in json.loads(ran.stdout)]


def graph(folder: Path, target: Target) -> Path:
    file = folder / f"graph.{'json' if target == 'vertex' else 'yaml'}"
    job = job_of("demo", target=target)
    spec = job["pipelineSpec"] if target == "vertex" else job
    spec["defaultPipelineRoot"] = ROOT
    file.write_text(as_text(job, target))
    return file


@pytest.fixture(scope="module")
def kubeflow_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graph(tmp_path_factory.mktemp("graph"), "kubeflow")


@pytest.fixture(scope="module")
def vertex_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graph(tmp_path_factory.mktemp("graph"), "vertex")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with gcs(tmp_path_factory.mktemp("gcs")) as running:
        yield running


def test_a_run_on_kubeflow(kubeflow_graph: Path) -> None:
    with kubeflow_api(KubeflowApi(token="letmein")) as api:
        (ran,) = submit(
            [
                kubeflow_graph,
                "--host",
                api.url,
                "--param",
                "epochs=2",
                "--param",
                "threshold=0.25",
                "--param",
                "data=s3://b/records",
                "--experiment",
                "trials",
                "--service-account",
                "runner",
                "--wait",
            ],
            environment={"PNEUMO_KFP_TOKEN": "letmein"},
        )
    assert ran.status == 0, ran.error
    assert ran.out.splitlines() == [
        "sent     pneumo-demo to kubeflow as run-1",
        f"page     {api.url}/#/runs/details/run-1",
        "ended    SUCCEEDED",
    ]
    assert api.experiments == ["trials"]
    (run,) = api.runs
    assert run["experiment_id"] == "id-of-trials"
    assert run["service_account"] == "runner"
    assert run["display_name"].startswith("pneumo-demo ")
    assert run["runtime_config"]["parameters"] == {
        "epochs": 2,
        "threshold": 0.25,
        "data": "s3://b/records",
    }
    assert run["runtime_config"]["pipeline_root"] == ROOT
    assert run["pipeline_spec"] == {**spec_of("demo"), "defaultPipelineRoot": ROOT}


def test_runs_that_fail_on_kubeflow(kubeflow_graph: Path) -> None:
    with (
        kubeflow_api(KubeflowApi(states=["RUNNING", "FAILED"], experiments=["Default"])) as one,
        kubeflow_api(KubeflowApi(states=["CANCELED"])) as other,
    ):
        runs = submit(*([kubeflow_graph, "--host", api.url, "--wait"] for api in (one, other)))
    assert [ran.status for ran in runs] == [1, 1]
    assert [ran.out.splitlines()[-1] for ran in runs] == ["ended    FAILED", "ended    CANCELED"]
    assert one.experiments == other.experiments == ["Default"]
    assert one.runs[0]["runtime_config"]["parameters"] == {}  # the defaults hold


def test_what_kubeflow_refuses_is_one_line(kubeflow_graph: Path) -> None:
    refusals = [
        ("/healthz", 404, "no page", "not the API of Kubeflow"),
        ("/experiments", 403, "not you", "permission denied"),
        ("/runs", 403, "not here", "permission denied"),
        ("/runs", 404, "gone", ""),
        ("/runs", 500, "bad spec", "the run was rejected"),
    ]
    cases = [(KubeflowApi(token="x"), "401 (missing token): authentication required: set PNEUMO_")]
    for path, status, message, line in refusals:
        refusing = KubeflowApi(refuse={path: (status, message)})
        cases.append((refusing, f"{status} ({message}): {line}"))
    with contextlib.ExitStack() as stack:
        for api, _ in cases:
            stack.enter_context(kubeflow_api(api))
        down = f"http://127.0.0.1:{free_port()}"
        commands: list[list[str | Path]] = [
            *([kubeflow_graph, "--host", api.url] for api, _ in cases),
            [kubeflow_graph],
            [kubeflow_graph, "--host", "localhost:1"],
            [kubeflow_graph, "--host", down],
        ]
        lines = [ran.line for ran in submit(*commands, environment={"PNEUMO_KFP_TOKEN": "wrong"})]
    wanted = [line for _, line in cases]
    wanted += [
        "no host: set --host",
        "must start with http:// or https://",
        f"{down} does not respond",
    ]
    for line, part in zip(lines, wanted, strict=True):
        assert part in line
    assert all(
        api.url in line and not api.runs for (api, _), line in zip(cases, lines, strict=False)
    )


def test_a_job_on_vertex(vertex_graph: Path, store: Store, tmp_path: Path) -> None:
    with vertex_api(VertexApi(), tmp_path) as api:
        (ran,) = submit(
            [
                vertex_graph,
                "--project",
                "my-project",
                "--region",
                "europe-west4",
                "--api-endpoint",
                api.endpoint,
                "--param",
                "epochs=2",
                "--param",
                "weights=random",
                "--service-account",
                "runner@example.com",
                "--experiment",
                "trials",
                "--wait",
            ],
            environment={**api.environment, **store.environment},
        )
    assert ran.status == 0, ran.error
    (request,) = api.requests
    parent = "projects/my-project/locations/europe-west4"
    assert request["parent"] == parent
    name = f"{parent}/pipelineJobs/{request['pipeline_job_id']}"
    assert ran.out.splitlines()[0] == f"sent     pneumo-demo to vertex as {name}"
    assert ran.out.splitlines()[-1] == "ended    SUCCEEDED"
    job = request["pipeline_job"]
    assert job["pipeline_spec"] == {**spec_of("demo", target="vertex"), "defaultPipelineRoot": ROOT}
    assert job["runtime_config"]["parameter_values"] == {"epochs": 2.0, "weights": "random"}
    assert job["runtime_config"]["gcs_output_directory"] == ROOT
    assert job["service_account"] == "runner@example.com"
    assert job["labels"]["pneumo-experiment"] == "trials"


def test_what_vertex_refuses_is_one_line(vertex_graph: Path, store: Store, tmp_path: Path) -> None:
    refuse = {
        "UNAUTHENTICATED": "401 (refused with UNAUTHENTICATED): log in again",
        "PERMISSION_DENIED": "403 (refused with PERMISSION_DENIED): the account needs the role",
        "NOT_FOUND": "404 (refused with NOT_FOUND): check --project and --region",
        "INVALID_ARGUMENT": "400 (refused with INVALID_ARGUMENT): the run was rejected",
    }
    other = tmp_path / "other.json"
    other.write_text(vertex_graph.read_text().replace("gs://pneumo/", "gs://nowhere/"))
    with vertex_api(VertexApi(refuse=list(refuse)), tmp_path) as api:
        at = ["--region", "europe-west4", "--api-endpoint", api.endpoint]
        down = ["--region", "europe-west4", "--api-endpoint", f"localhost:{free_port()}"]
        runs = submit(
            *([vertex_graph, *at] for _ in refuse),
            [vertex_graph, *down],
            [other, *at],
            [vertex_graph],
            environment={**api.environment, **store.environment},
        )
    # Without --project that of the credentials is meant.
    where = "project project-of-the-account, region europe-west4: "
    wanted = [
        *(where + line for line in refuse.values()),
        "no response: check --region and the network",
        "bucket gs://nowhere does not exist; create it with",
        "no region: set --region",
    ]
    for ran, part in zip(runs, wanted, strict=True):
        assert part in ran.line
    assert len(api.requests) == len(refuse)


def test_no_credentials_and_wrong_arguments_are_one_line(
    vertex_graph: Path, tmp_path: Path
) -> None:
    dry: list[str | Path] = [vertex_graph, "--dry-run"]
    cases: list[tuple[list[str | Path], str]] = [
        ([vertex_graph, "--region", "r", "--project", "p"], "no Google Cloud credentials"),
        ([vertex_graph], "no region"),
        ([*dry, "--target", "kubeflow"], "was compiled for vertex, not for kubeflow"),
        ([*dry, "--param", "epochs=0"], "parameter epochs='0'"),
        ([*dry, "--config", "no-such"], "unknown configuration 'no-such'"),
    ]
    home = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
    for ran, (_, part) in zip(submit(*(c for c, _ in cases), environment=home), cases, strict=True):
        assert part in ran.line


def test_dry_run_asks_nobody(vertex_graph: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("name: demo\ndeploy: {project: p, region: r, experiment: e}\n")
    (ran,) = submit(
        [
            vertex_graph,
            "--dry-run",
            "--config",
            config,
            "--param",
            "epochs=3",
            "--region",
            "europe-west4",
        ]
    )
    assert ran.status == 0, ran.error
    printed = json.loads(ran.out)
    assert printed["to"] == {"project": "p", "region": "europe-west4"}
    assert printed["experiment"] == "e"
    assert printed["parameters"]["epochs"] == 3
