"""Reads a compiled PipelineSpec: parameters, artifacts, order and cache keys of its tasks."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PARAMETER_TYPES = {"STRING": str, "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float)}


@dataclass
class TaskResult:
    """Result of one task.

    Attributes:
      parameters: values of the parameters, defaults included.
      artifacts: key -> runtime artifact.
      attempts: number of attempts; 0 if the result came from the cache.
      seconds: duration of the last attempt.
      log: output of the last attempt.
    """

    parameters: dict[str, Any]
    artifacts: dict[str, dict[str, Any]]
    attempts: int
    seconds: float
    log: str = ""

    def uri(self, key: str) -> str:
        return str(self.artifacts[key]["uri"])


def root_values(root: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    defined = root.get("inputDefinitions", {}).get("parameters", {})
    if unknown := parameters.keys() - defined.keys():
        raise ValueError(f"unknown parameters: {sorted(unknown)}")
    values = {}
    for name, definition in defined.items():
        if name in parameters:
            values[name] = parameters[name]
        elif "defaultValue" in definition:
            values[name] = definition["defaultValue"]
        else:
            raise ValueError(f"parameter {name} has no value and no default")
        if not isinstance(values[name], PARAMETER_TYPES[definition["parameterType"]]):
            raise ValueError(
                f"parameter {name}: {values[name]!r} is not a {definition['parameterType']}"
            )
    return values


def producers(task: Mapping[str, Any]) -> set[str]:
    """Returns the tasks that must end first; a task must declare all that it reads from."""
    declared = set(task.get("dependentTasks", []))
    read = {
        source["taskOutputArtifact"]["producerTask"]
        for source in task.get("inputs", {}).get("artifacts", {}).values()
    }
    assert read <= declared, (
        f"{task['taskInfo']['name']} does not declare {sorted(read - declared)}"
    )
    return declared


def task_parameters(
    name: str,
    task: Mapping[str, Any],
    component: Mapping[str, Any],
    values: Mapping[str, Any],
    results: Mapping[str, TaskResult],
) -> dict[str, Any]:
    defined = component.get("inputDefinitions", {}).get("parameters", {})
    parameters = {
        key: definition["defaultValue"]
        for key, definition in defined.items()
        if "defaultValue" in definition
    }
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        match source:
            case {"runtimeValue": {"constant": value}}:
                parameters[key] = value
            case {"componentInputParameter": parameter}:
                parameters[key] = values[parameter]
            case _:
                raise NotImplementedError(
                    f"{name}: unsupported source of parameter {key}: {source}"
                )
    for key, value in parameters.items():
        assert isinstance(value, PARAMETER_TYPES[defined[key]["parameterType"]]), (
            f"{name}.{key}: {value!r}"
        )
    return parameters


def input_artifact(source: Mapping[str, Any], results: Mapping[str, TaskResult]) -> dict[str, Any]:
    match source:
        case {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}:
            return results[task].artifacts[key]
    raise NotImplementedError(f"unsupported source of an artifact: {source}")


def merge_outputs(outputs: dict[str, dict[str, Any]], executor_output: Mapping[str, Any]) -> None:
    """Adds the URIs and metadata that a task wrote; types and names come from the spec."""
    for key, artifacts in executor_output.get("artifacts", {}).items():
        for artifact in artifacts["artifacts"]:
            outputs[key] |= {
                name: artifact[name] for name in ("uri", "metadata") if name in artifact
            }


def cache_key(
    container: Mapping[str, Any],
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    outputs: Mapping[str, Any],
) -> str:
    content = [
        {key: container[key] for key in ("image", "command", "args")},
        parameters,
        {key: artifact["name"] for key, artifact in inputs.items()},
        sorted(outputs),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
