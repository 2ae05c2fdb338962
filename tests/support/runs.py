"""Runs the command line as a user does and reads what a run left."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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


Run = Callable[..., subprocess.CompletedProcess[str]]


def pneumo(
    *arguments: str | Path, module: Sequence[str] = ("-m", "pipeline.cli"), check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, *module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    if check and done.returncode:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def summary(work: Path) -> dict[str, Any]:
    return json.loads((work / "run.json").read_text())


def cached(work: Path) -> dict[str, bool]:
    return {node["name"]: node["cached"] for node in summary(work)["nodes"]}


def execution_states(work: Path) -> dict[str, list[str]]:
    """Node -> states of its executions, as ML Metadata has them."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    from pipeline.runners.store import open_store

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
    """What the report says of the test split."""
    nodes = {node["name"]: node for node in summary(work)["nodes"]}
    page = Path(nodes["Report"]["outputs"]["report"][0]) / "report.json"
    return json.loads(page.read_text())
