"""Compiled pipeline files: reading, parameter values, summary, and submitted runs."""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.kubeflow.options import DeployOptions, Target
from pipeline.kubeflow.runtime_parameters import valid_value
from schema.errors import PneumoError, one_line


@dataclass(frozen=True)
class CompiledPipeline:
    """A file written by `pneumo compile`.

    Attributes:
      file: its path.
      target: platform of the file.
      spec: the PipelineSpec.
    """

    file: Path
    target: Target
    spec: dict[str, Any]

    @property
    def root(self) -> str:
        """URI of the artifacts."""
        return str(self.spec.get("defaultPipelineRoot", ""))

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def inputs(self) -> dict[str, Any]:
        """Parameters of the graph: name -> type and default."""
        return dict(self.spec["root"].get("inputDefinitions", {}).get("parameters", {}))


@dataclass(frozen=True)
class SubmittedRun:
    """A run that the platform accepted.

    Attributes:
      id: name of the run on the platform.
      page: address of its page.
      state: returns the current state of the run.
      final: states in which a run has ended.
    """

    id: str
    page: str
    state: Callable[[], str]
    final: Collection[str]

    def wait(self) -> str:
        """Polls with growing intervals until the run has ended; returns its final state."""
        pause = 1.0
        while (state := self.state()) not in self.final:
            time.sleep(pause)
            pause = min(30.0, pause * 1.5)
        return state


def read(file: Path, target: Target | None = None) -> CompiledPipeline:
    """Reads a compiled file.

    Args:
      file: output of `pneumo compile`.
      target: expected platform; None: any.

    Raises:
      PneumoError: the file is unreadable, not a compiled graph, or for another target.
    """
    from pipeline.kubeflow.validate import check

    try:
        document = next(filter(None, yaml.safe_load_all(file.read_text())), None)
    except OSError as error:
        raise PneumoError(f"{file} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PneumoError(f"{file} is not YAML: {one_line(error)}") from None
    kind: Target = "kubeflow"
    if isinstance(document, dict) and "pipelineSpec" in document:
        kind, document = "vertex", document["pipelineSpec"]
    if not isinstance(document, dict) or not {"pipelineInfo", "root"} <= document.keys():
        raise PneumoError(f"{file} is not a compiled pipeline; create one with `pneumo compile`")
    if target is not None and target != kind:
        raise PneumoError(f"{file} was compiled for {kind}, not for {target}; compile it again")
    try:
        check(document)
    except PneumoError as error:
        raise PneumoError(f"{file}: {error}") from None
    return CompiledPipeline(file, kind, document)


def parameter_values(inputs: dict[str, Any], pairs: Sequence[str]) -> dict[str, Any]:
    """Parses `name=value` pairs against the parameters of a graph.

    Returns:
      name -> value in its type, for each pair.

    Raises:
      PneumoError: no such parameter, an invalid value, or a parameter without any value.
    """
    values: dict[str, Any] = {}
    for text in pairs:
        name, equals, value = text.partition("=")
        if not equals:
            raise PneumoError(f"--param takes name=value, such as epochs=5; not {text!r}")
        if name not in inputs:
            known = ", ".join(sorted(inputs)) or "none"
            raise PneumoError(
                f"--param {text}: the compiled graph has no such parameter; it has {known}"
            )
        values[name] = valid_value(name, value)
    for name, defined in sorted(inputs.items()):
        if name not in values and "defaultValue" not in defined:
            raise PneumoError(f"parameter {name} has no value: set it with --param {name}=...")
    return values


def summary(compiled: CompiledPipeline, deploy: DeployOptions, values: dict[str, Any]) -> str:
    """Returns the submission as JSON: destination, parameters and resources."""
    spec = compiled.spec
    defaults = {
        name: parameter["defaultValue"]
        for name, parameter in compiled.inputs.items()
        if "defaultValue" in parameter
    }
    nodes = {}
    for name, task in sorted(spec["root"]["dag"]["tasks"].items()):
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label]["container"]
        nodes[name] = {
            "image": container["image"],
            "resources": container.get("resources", {}),
            "retries": task.get("retryPolicy", {}).get("maxRetryCount", 0),
            "cached": bool(task.get("cachingOptions", {}).get("enableCache")),
        }
    kubeflow = compiled.target == "kubeflow"
    where = {"host", "namespace"} if kubeflow else {"project", "region", "api_endpoint"}
    facts = {
        "target": compiled.target,
        "to": deploy.model_dump(include=where, exclude_none=True),
        "pipeline": compiled.name,
        "root": compiled.root,
        "experiment": deploy.experiment,
        "service_account": deploy.service_account,
        "given": values,
        "parameters": {**defaults, **values},
        "nodes": nodes,
    }
    return json.dumps(facts, indent=1)
