"""Runs `pneumo` in processes and reads the outputs of runs."""

import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALL = """
name: small
model: {backbone: InceptionV3, weights: random, image_size: 75}
training: {epochs: 6, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
serving: {infra_validation: savedmodel}
"""
NODES = (
    "ImportExampleGen",
    "ImportSchemaGen",
    "StatisticsGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Embedder",
    "Trainer",
    "Evaluator",
    "latest_blessed_model",
    "Scorer",
    "Gate",
    "EndpointValidator",
    "Pusher",
    "Report",
    "ModelCard",
)


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.runs.preloaded"])
TIMEOUT = 900  # seconds per command


@dataclass(frozen=True)
class Done:
    """A finished command; `returncode` is -9 after SIGKILL, None after a timeout."""

    returncode: int | None
    stdout: str
    stderr: str


def pneumo(
    *arguments: str | Path,
    module: str = "pipeline.cli",
    check: bool = True,
    cwd: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Done:
    """Runs `main` of a module in a process forked from one that has imported TFX.

    The import takes more than ten CPU seconds. Forking is safe: TensorFlow starts its threads when
    the first graph runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder) / name for name in ("out", "err"))
        process_args = (
            module,
            [str(x) for x in arguments],
            out,
            err,
            cwd or Path.cwd(),
            {**environment},
        )
        process = _FORKS.Process(target=_run, args=process_args)
        process.start()
        process.join(TIMEOUT)
        if process.exitcode is None:
            process.kill()
        done = Done(process.exitcode, *(_text(file) for file in (out, err)))
    if done.returncode is None or (check and done.returncode):
        raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def run_pipeline(
    config: str | Path, data: Path, workdir: Path, *settings: str, check: bool = True
) -> Done:
    """Runs `pneumo run` with settings KEY=VALUE."""
    options = [word for setting in settings for word in ("--set", setting)]
    return pneumo(
        "run", "--config", config, "--data", data, "--workdir", workdir, *options, check=check
    )


def _run(
    module: str, arguments: list[str], out: Path, err: Path, cwd: Path, environment: dict[str, str]
) -> None:
    for file, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    sys.stdout, sys.stderr = (
        os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape")
        for descriptor in (1, 2)
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    importlib.import_module(module).main(arguments)


def _text(file: Path) -> str:
    return file.read_text("utf-8", "surrogateescape") if file.exists() else ""


def pneumo_in_new_process(*arguments: str | Path) -> Done:
    """Runs `pneumo` in a new interpreter, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    return Done(done.returncode, done.stdout, done.stderr)


def clone(work: Path, to: Path) -> Path:
    """Copies a work folder; paths in `run.json` are updated, those in ML Metadata are not."""
    shutil.copytree(work, to)
    result = (work / "run.json").read_text()
    (to / "run.json").write_text(result.replace(f"{work}/", f"{to}/"))
    return to


def summary(work: Path) -> dict[str, Any]:
    return json.loads((work / "run.json").read_text())


def cached(work: Path) -> dict[str, bool]:
    return {node["name"]: node["cached"] for node in summary(work)["nodes"]}


def execution_states(work: Path) -> dict[str, list[str]]:
    """Returns the states of the executions of each node in ML Metadata."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    from pipeline.runners.metadata_store import open_store

    store = open_store(work / "metadata.sqlite")
    states: dict[str, list[str]] = {}
    for context in store.get_contexts_by_type("node"):
        name = context.name.split(".", 1)[1]
        states[name] = [
            pb.Execution.State.Name(execution.last_known_state)
            for execution in sorted(store.get_executions_by_context(context.id), key=lambda e: e.id)
        ]
    return states


def metrics(work: Path) -> dict[str, Any]:
    """Returns the content of `report.json`."""
    nodes = {node["name"]: node for node in summary(work)["nodes"]}
    page = Path(nodes["Report"]["outputs"]["report"][0]) / "report.json"
    return json.loads(page.read_text())
