"""Graphs compiled once for all tests of a process."""

import copy
import functools
from typing import Any

from pipeline.config import Config
from pipeline.config_file import load_config
from pipeline.kubeflow.compile import compile_spec
from pipeline.kubeflow.options import Target

IMAGE = "registry.example/pneumo-tfx:1"


def config_of(name: str, *overrides: str) -> Config:
    return load_config(name, ["deploy.data=gs://bucket/records", *overrides])


@functools.cache
def _compiled(name: str, target: Target, overrides: tuple[str, ...]) -> dict[str, Any]:
    return compile_spec(config_of(name, *overrides), target, image=IMAGE, root="gs://bucket/runs")


def spec_of(name: str, *overrides: str, target: Target = "kubeflow") -> dict[str, Any]:
    """The PipelineSpec, to be changed at will."""
    job = job_of(name, *overrides, target=target)
    return job["pipelineSpec"] if target == "vertex" else job


def job_of(name: str, *overrides: str, target: Target) -> dict[str, Any]:
    """What compile_spec gives."""
    return copy.deepcopy(_compiled(name, target, overrides))


def container_of(spec: dict[str, Any], task: str) -> dict[str, Any]:
    name = spec["root"]["dag"]["tasks"][task]["componentRef"]["name"]
    label = spec["components"][name]["executorLabel"]
    return spec["deploymentSpec"]["executors"][label]["container"]  # type: ignore[no-any-return]


def properties_of(spec: dict[str, Any], task: str, values: dict[str, Any]) -> dict[str, Any]:
    """Execution properties of a task as its container gets them."""
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    given = spec["root"]["dag"]["tasks"][task].get("inputs", {}).get("parameters", {})
    found = {}
    for key, value in given.items():
        if source := value.get("componentInputParameter"):
            found[key] = values.get(source, inputs[source].get("defaultValue"))
        else:
            found[key] = value["runtimeValue"]["constant"]
    return found
