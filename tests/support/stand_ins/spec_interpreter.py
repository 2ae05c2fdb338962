"""Runs a compiled graph as a platform would, with processes in the place of containers.

Everything passes through the spec: order, parameters and their defaults, artifacts, commands,
drivers, retries, cache. What the spec could have and this does not know stops it.

What differs between the two platforms is kept, as their public sources and TFX's tests have it:
Kubeflow Pipelines hands inputs over without a type, keeps the output file in the container and runs
no driver; Vertex AI gives types, keeps the output file in the store and runs the driver first.
"""

import concurrent.futures
import graphlib
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from schema import storage

REPOSITORY = Path(__file__).parents[3]
_TASK_KEYS = {
    "cachingOptions",
    "componentRef",
    "dependentTasks",
    "inputs",
    "retryPolicy",
    "taskInfo",
}
_PLAIN = {"STRING": str, "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float)}


class TaskFailed(Exception):
    """A task ended with another status than 0 as often as it may be tried."""


@dataclass
class Executed:
    """How a task went.

    Attributes:
      given: parameters.
      artifacts: key -> runtime artifact.
      attempts: 0 where the cache answered.
      seconds: of the last attempt.
      log: what it wrote.
    """

    given: dict[str, Any]
    artifacts: dict[str, dict[str, Any]]
    attempts: int
    seconds: float
    log: str = ""

    def uri(self, key: str) -> str:
        return str(self.artifacts[key]["uri"])


@dataclass
class Platform:
    """Where graphs run.

    Attributes:
      kind: whose manners it has.
      folder: for logs, and for what a container has inside.
      environment: of every container: the address of the store, credentials.
      workers: tasks at a time.
      kills: task -> text in its log at which its first attempt is killed.
      cache: key -> what a task gave.
    """

    kind: Literal["kubeflow", "vertex"]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    workers: int = 2
    kills: dict[str, str] = field(default_factory=dict)
    cache: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self, spec: Mapping[str, Any], root: str, parameters: Mapping[str, Any]
    ) -> dict[str, Executed]:
        """Runs every task.

        Args:
          spec: a PipelineSpec.
          root: URI below which the artifacts go.
          parameters: of this run.

        Raises:
          TaskFailed: a task failed as often as it may.
        """
        values = _root_values(spec["root"], parameters)
        tasks = spec["root"]["dag"]["tasks"]
        order = graphlib.TopologicalSorter({name: _before(task) for name, task in tasks.items()})
        order.prepare()
        run = f"{spec['pipelineInfo']['name']}/run-{self._number()}"
        done: dict[str, Executed] = {}
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            running: dict[concurrent.futures.Future[Executed], str] = {}
            while order.is_active():
                for name in order.get_ready():
                    running[pool.submit(self._task, spec, name, values, done, f"{root}/{run}")] = (
                        name
                    )
                ended, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in ended:
                    name = running.pop(future)
                    try:
                        done[name] = future.result()
                    except BaseException:
                        pool.shutdown(wait=False, cancel_futures=True)
                        raise
                    order.done(name)
        return done

    def _task(
        self,
        spec: Mapping[str, Any],
        name: str,
        values: Mapping[str, Any],
        done: Mapping[str, Executed],
        root: str,
    ) -> Executed:
        task = spec["root"]["dag"]["tasks"][name]
        if unknown := task.keys() - _TASK_KEYS:
            raise NotImplementedError(f"task {name} has {sorted(unknown)}")
        component = spec["components"][task["componentRef"]["name"]]
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if executor.keys() != {"container"}:
            raise NotImplementedError(f"{name} is run by {sorted(executor)}")
        container = executor["container"]
        given = _parameters(name, task, component, values, done)
        inputs = {
            key: _artifact_of(source, done)
            for key, source in task.get("inputs", {}).get("artifacts", {}).items()
        }
        attempts = 1 + int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        number = self._number()
        outputs, told = self._places(component, name, number, root)
        handed = {
            "inputs": {
                "parameterValues": given,
                "artifacts": {
                    key: {"artifacts": [self._shown(artifact)]} for key, artifact in inputs.items()
                },
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [of]} for key, of in outputs.items()},
                "outputFile": told,
            },
        }
        if self.kind == "vertex" and (hook := container.get("lifecycle")):
            log = self.folder / f"{number}-{name}-driver.log"
            self._container({**container, **hook["preCacheCheck"]}, handed, log, "")
            driven = json.loads(storage.read_bytes(told))
            given |= driven["parameterValues"]
            _merge(outputs, driven)
        key = _cache_key(container, given, inputs, outputs)
        if task.get("cachingOptions", {}).get("enableCache") and key in self.cache:
            return Executed(given, self.cache[key], 0, 0.0)
        for attempt in range(1, attempts + 1):
            log = self.folder / f"{number}-{name}-{attempt}.log"
            began = time.monotonic()
            kill_at = self.kills.pop(name, "") if attempt == 1 else ""
            if self._container(container, handed, log, kill_at) == 0:
                break
        else:
            tail = log.read_text(errors="replace")[-3000:]
            raise TaskFailed(f"{name}, {attempts} attempts; the last one said:\n{tail}")
        _merge(outputs, json.loads(storage.read_bytes(told)))
        self.cache[key] = outputs
        return Executed(
            given, outputs, attempt, time.monotonic() - began, log.read_text(errors="replace")
        )

    def _container(
        self, container: Mapping[str, Any], handed: Mapping[str, Any], log: Path, kill_at: str
    ) -> int:
        """Runs the command of a container; the image is this environment."""
        command = [*container["command"], *container["args"]]
        assert command[0] == "python"
        # Not a word of a shell: the whole argument is the message.
        filled = [sys.executable, *command[1:]]
        filled = [json.dumps(handed) if part == "{{$}}" else part for part in filled]
        inside = self.folder / f"{log.stem}-inside"
        inside.mkdir()
        env = {
            **os.environ,
            **self.environment,
            **{pair["name"]: pair["value"] for pair in container.get("env", [])},
            "PYTHONPATH": str(REPOSITORY),
            # As the image has it: AutoGraph imports files from TMPDIR, and removes all but their
            # bytecode.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(inside),
        }
        with log.open("wb") as out:
            process = subprocess.Popen(filled, stdout=out, stderr=out, env=env, cwd=inside)
            while kill_at and process.poll() is None:
                if kill_at in log.read_text(errors="replace"):
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.05)
            status = process.wait()
        if not kill_at:
            left = [path.name for path in inside.rglob("*") if path.is_file()]
            assert not left, f"{log.stem} left {left[:5]}"
        return status

    def _places(
        self, component: Mapping[str, Any], name: str, number: int, root: str
    ) -> tuple[dict[str, dict[str, Any]], str]:
        """Where a task puts its outputs, and the file in which it tells of them."""
        defined = component.get("outputDefinitions", {})
        if defined.get("parameters"):
            raise NotImplementedError(f"{name} gives parameters")
        if self.kind == "vertex":
            below = f"{root}/{name}_{number}"
            told = f"{below}/executor_output.json"
        else:
            below = f"{root}/{name}/{hashlib.sha256(str(number).encode()).hexdigest()[:8]}"
            told = str(self.folder / f"kfp_outputs-{number}" / "output_metadata.json")
            Path(told).parent.mkdir()
        outputs = {
            key: {"name": self._number_name(), "uri": f"{below}/{key}", "type": of["artifactType"]}
            for key, of in defined.get("artifacts", {}).items()
        }
        return outputs, told

    def _shown(self, artifact: Mapping[str, Any]) -> dict[str, Any]:
        hidden = {"type"} if self.kind == "kubeflow" else set()
        return {key: value for key, value in artifact.items() if key not in hidden}

    def _number(self) -> int:
        with self._lock:
            return next(self._numbers)

    def _number_name(self) -> str:
        number = self._number()
        if self.kind == "kubeflow":
            return str(number)
        return f"projects/1/locations/nowhere/metadataStores/default/artifacts/{number}"


def _root_values(root: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    defined = root.get("inputDefinitions", {}).get("parameters", {})
    if unknown := given.keys() - defined.keys():
        raise ValueError(f"the graph has no parameter {sorted(unknown)}")
    values = {}
    for name, of in defined.items():
        if name in given:
            values[name] = given[name]
        elif "defaultValue" in of:
            values[name] = of["defaultValue"]
        else:
            raise ValueError(f"parameter {name} must be given")
        if not isinstance(values[name], _PLAIN[of["parameterType"]]):
            raise ValueError(f"parameter {name}: {values[name]!r} is no {of['parameterType']}")
    return values


def _before(task: Mapping[str, Any]) -> set[str]:
    """Tasks that come before a task; each that it reads from must be named."""
    named = set(task.get("dependentTasks", []))
    read = {
        source["taskOutputArtifact"]["producerTask"]
        for source in task.get("inputs", {}).get("artifacts", {}).values()
    }
    assert read <= named, f"{task['taskInfo']['name']} does not wait for {sorted(read - named)}"
    return named


def _parameters(
    name: str,
    task: Mapping[str, Any],
    component: Mapping[str, Any],
    values: Mapping[str, Any],
    done: Mapping[str, Executed],
) -> dict[str, Any]:
    defined = component.get("inputDefinitions", {}).get("parameters", {})
    given = {key: of["defaultValue"] for key, of in defined.items() if "defaultValue" in of}
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        match source:
            case {"runtimeValue": {"constant": value}}:
                given[key] = value
            case {"componentInputParameter": of}:
                given[key] = values[of]
            case _:
                raise NotImplementedError(f"{name}: parameter {key} comes from {source}")
    for key, value in given.items():
        assert isinstance(value, _PLAIN[defined[key]["parameterType"]]), f"{name}.{key}: {value!r}"
    return given


def _artifact_of(source: Mapping[str, Any], done: Mapping[str, Executed]) -> dict[str, Any]:
    match source:
        case {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}:
            return done[task].artifacts[key]
    raise NotImplementedError(f"an artifact comes from {source}")


def _merge(outputs: dict[str, dict[str, Any]], told: Mapping[str, Any]) -> None:
    """What a task says of its outputs; it says nothing of their types and names."""
    for key, artifacts in told.get("artifacts", {}).items():
        for artifact in artifacts["artifacts"]:
            outputs[key] |= {
                name: artifact[name] for name in ("uri", "metadata") if name in artifact
            }


def _cache_key(
    container: Mapping[str, Any],
    given: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    outputs: Mapping[str, Any],
) -> str:
    whole = [
        {key: container[key] for key in ("image", "command", "args")},
        given,
        {key: artifact["name"] for key, artifact in inputs.items()},
        sorted(outputs),
    ]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
