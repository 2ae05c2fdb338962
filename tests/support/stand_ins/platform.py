"""Runs a compiled PipelineSpec as a platform does, with processes in place of containers.

Order, parameters, artifacts, commands, drivers, retries and cache come from the spec alone. A part
of the spec that is not supported here raises NotImplementedError.

The platforms differ as in their public sources and in TFX's tests: Kubeflow Pipelines passes inputs
without a type, keeps the output file in the container and runs no driver; Vertex AI passes types,
keeps the output file in the store and runs the driver first.
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
from tests.support.stand_ins.pipeline_spec import (
    TaskResult,
    cache_key,
    input_artifact,
    merge_outputs,
    producers,
    root_values,
    task_parameters,
)

REPOSITORY = Path(__file__).parents[3]
_TASK_KEYS = {
    "cachingOptions",
    "componentRef",
    "dependentTasks",
    "inputs",
    "retryPolicy",
    "taskInfo",
}


class TaskFailed(Exception):
    """All attempts of a task failed."""


@dataclass
class Platform:
    """Runs pipelines.

    Attributes:
      kind: platform whose behavior is reproduced.
      folder: for logs and the working folders of the containers.
      environment: variables of every container: address and credentials of the store.
      workers: number of tasks at a time.
      kills: task -> text; when it appears in the log, the first attempt is killed.
      cache: cache key -> output artifacts.
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
    ) -> dict[str, TaskResult]:
        """Runs every task.

        Args:
          spec: a PipelineSpec.
          root: URI of the folder for artifacts.
          parameters: values for this run.

        Raises:
          TaskFailed: all attempts of a task failed.
        """
        values = root_values(spec["root"], parameters)
        tasks = spec["root"]["dag"]["tasks"]
        order = graphlib.TopologicalSorter({name: producers(task) for name, task in tasks.items()})
        order.prepare()
        run = f"{spec['pipelineInfo']['name']}/run-{self._number()}"
        results: dict[str, TaskResult] = {}
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            running: dict[concurrent.futures.Future[TaskResult], str] = {}
            while order.is_active():
                for name in order.get_ready():
                    running[
                        pool.submit(self._task, spec, name, values, results, f"{root}/{run}")
                    ] = name
                ended, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in ended:
                    name = running.pop(future)
                    try:
                        results[name] = future.result()
                    except BaseException:
                        pool.shutdown(wait=False, cancel_futures=True)
                        raise
                    order.done(name)
        return results

    def _task(
        self,
        spec: Mapping[str, Any],
        name: str,
        values: Mapping[str, Any],
        results: Mapping[str, TaskResult],
        root: str,
    ) -> TaskResult:
        task = spec["root"]["dag"]["tasks"][name]
        if unknown := task.keys() - _TASK_KEYS:
            raise NotImplementedError(f"unsupported keys of task {name}: {sorted(unknown)}")
        component = spec["components"][task["componentRef"]["name"]]
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if executor.keys() != {"container"}:
            raise NotImplementedError(f"unsupported executor of {name}: {sorted(executor)}")
        container = executor["container"]
        parameters = task_parameters(name, task, component, values, results)
        inputs = {
            key: input_artifact(source, results)
            for key, source in task.get("inputs", {}).get("artifacts", {}).items()
        }
        attempts = 1 + int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        number = self._number()
        outputs, output_file = self._output_artifacts(component, name, number, root)
        executor_input = {
            "inputs": {
                "parameterValues": parameters,
                "artifacts": {
                    key: {"artifacts": [self._visible(artifact)]}
                    for key, artifact in inputs.items()
                },
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [artifact]} for key, artifact in outputs.items()},
                "outputFile": output_file,
            },
        }
        if self.kind == "vertex" and (hook := container.get("lifecycle")):
            log = self.folder / f"{number}-{name}-driver.log"
            self._container({**container, **hook["preCacheCheck"]}, executor_input, log, "")
            driver_output = json.loads(storage.read_bytes(output_file))
            parameters |= driver_output["parameterValues"]
            merge_outputs(outputs, driver_output)
        key = cache_key(container, parameters, inputs, outputs)
        if task.get("cachingOptions", {}).get("enableCache") and key in self.cache:
            return TaskResult(parameters, self.cache[key], 0, 0.0)
        for attempt in range(1, attempts + 1):
            log = self.folder / f"{number}-{name}-{attempt}.log"
            started = time.monotonic()
            kill_at = self.kills.pop(name, "") if attempt == 1 else ""
            if self._container(container, executor_input, log, kill_at) == 0:
                break
        else:
            tail = log.read_text(errors="replace")[-3000:]
            raise TaskFailed(f"{name}: {attempts} attempts failed; the last log:\n{tail}")
        merge_outputs(outputs, json.loads(storage.read_bytes(output_file)))
        self.cache[key] = outputs
        return TaskResult(
            parameters,
            outputs,
            attempt,
            time.monotonic() - started,
            log.read_text(errors="replace"),
        )

    def _container(
        self,
        container: Mapping[str, Any],
        executor_input: Mapping[str, Any],
        log: Path,
        kill_at: str,
    ) -> int:
        """Runs the command of a container in this environment; returns its exit status."""
        command = [*container["command"], *container["args"]]
        assert command[0] == "python"
        message = json.dumps(executor_input)
        arguments = [message if part == "{{$}}" else part for part in command[1:]]
        inside = self.folder / f"{log.stem}-inside"
        inside.mkdir()
        env = {
            **os.environ,
            **self.environment,
            **{pair["name"]: pair["value"] for pair in container.get("env", [])},
            "PYTHONPATH": str(REPOSITORY),
            # As in the image. AutoGraph removes its files from TMPDIR, but not their bytecode.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(inside),
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments], stdout=out, stderr=out, env=env, cwd=inside
            )
            while kill_at and process.poll() is None:
                if kill_at in log.read_text(errors="replace"):
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.05)
            status = process.wait()
        if not kill_at:
            left = [path.name for path in inside.rglob("*") if path.is_file()]
            assert not left, f"{log.stem} left files behind: {left[:5]}"
        return status

    def _output_artifacts(
        self, component: Mapping[str, Any], name: str, number: int, root: str
    ) -> tuple[dict[str, dict[str, Any]], str]:
        """Returns the output artifacts of a task, and the file in which it describes them."""
        defined = component.get("outputDefinitions", {})
        if defined.get("parameters"):
            raise NotImplementedError(f"unsupported output parameters of {name}")
        if self.kind == "vertex":
            below = f"{root}/{name}_{number}"
            output_file = f"{below}/executor_output.json"
        else:
            below = f"{root}/{name}/{hashlib.sha256(str(number).encode()).hexdigest()[:8]}"
            output_file = str(self.folder / f"kfp_outputs-{number}" / "output_metadata.json")
            Path(output_file).parent.mkdir()
        outputs = {
            key: {
                "name": self._artifact_name(),
                "uri": f"{below}/{key}",
                "type": definition["artifactType"],
            }
            for key, definition in defined.get("artifacts", {}).items()
        }
        return outputs, output_file

    def _visible(self, artifact: Mapping[str, Any]) -> dict[str, Any]:
        hidden = {"type"} if self.kind == "kubeflow" else set()
        return {key: value for key, value in artifact.items() if key not in hidden}

    def _number(self) -> int:
        with self._lock:
            return next(self._numbers)

    def _artifact_name(self) -> str:
        number = self._number()
        if self.kind == "kubeflow":
            return str(number)
        return f"projects/1/locations/nowhere/metadataStores/default/artifacts/{number}"
