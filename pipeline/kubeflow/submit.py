"""A compiled graph on its way to a cluster: read, given its parameters, shown, sent."""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.kubeflow.options import Target
from pipeline.kubeflow.parameters import PARAMETERS, checked
from schema.errors import PneumoError

_KINDS: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
}


@dataclass(frozen=True)
class Compiled:
    """What `pneumo compile` wrote.

    Attributes:
      file: the file.
      target: for whom.
      spec: the PipelineSpec.
      root: where the artifacts go.
    """

    file: Path
    target: Target
    spec: dict[str, Any]

    @property
    def root(self) -> str:
        """Where the artifacts go."""
        return str(self.spec.get("defaultPipelineRoot", ""))

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return str(self.spec["pipelineInfo"]["name"])


@dataclass(frozen=True)
class Where:
    """Who is asked to run it.

    Attributes:
      host: of kubeflow: address of the API.
      namespace: of kubeflow.
      token: of kubeflow: bearer token; empty: none.
      project: of vertex.
      region: of vertex.
      endpoint: of vertex: another address of the API; empty: that of the region.
      service_account: the account that the nodes run as; empty: the platform's own.
      experiment: group of runs; empty: none.
    """

    host: str = ""
    namespace: str = ""
    token: str = ""
    project: str = ""
    region: str = ""
    endpoint: str = ""
    service_account: str = ""
    experiment: str = ""


@dataclass(frozen=True)
class Sent:
    """A run that was taken.

    Attributes:
      id: as the platform names it.
      page: address of its page.
      wait: waits for its end and returns the state it ended in; none asked for: not called.
    """

    id: str
    page: str
    wait: Callable[[], str]


def until(state: Callable[[], str], ended: Collection[str]) -> str:
    """Asks for the state of a run, more and more rarely, until it is one of `ended`."""
    pause = 1.0
    while (found := state()) not in ended:
        time.sleep(pause)
        pause = min(30.0, pause * 1.5)
    return found


def read(file: Path, target: Target | None = None) -> Compiled:
    """Reads a compiled file.

    Args:
      file: as `pneumo compile` wrote it.
      target: whom the caller means; none: as the file says.

    Raises:
      PneumoError: it cannot be read, is no compiled graph, or one for another target.
    """
    from pipeline.kubeflow.validate import check

    try:
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
    except OSError as error:
        raise PneumoError(f"{file} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PneumoError(f"{file} is not YAML: {' '.join(str(error).split())[:200]}") from None
    first = documents[0] if documents else None
    of: Target = "vertex" if isinstance(first, dict) and "pipelineSpec" in first else "kubeflow"
    spec = first["pipelineSpec"] if of == "vertex" and isinstance(first, dict) else first
    if not isinstance(spec, dict) or not {"pipelineInfo", "root"} <= spec.keys():
        raise PneumoError(f"{file} is no compiled pipeline; make one with `pneumo compile`")
    if target is not None and target != of:
        raise PneumoError(f"{file} was compiled for {of}, not for {target}; compile it again")
    try:
        check(spec)
    except PneumoError as error:
        raise PneumoError(f"{file}: {error}") from None
    return Compiled(file, of, spec)


def parameter_values(spec: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Reads `name=value` against the inputs of a graph.

    Returns:
      name -> value in its type, of those that were given.

    Raises:
      PneumoError: no such input, a value of another type, or an input that has no value.
    """
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise PneumoError(f"--param takes name=value, as in epochs=5; not {text!r}")
        if name not in inputs:
            known = ", ".join(sorted(inputs)) or "none"
            raise PneumoError(
                f"--param {text}: the compiled graph has no such input; it has {known}"
            )
        if name in PARAMETERS:
            values[name] = checked(name, value)
            continue
        kind = inputs[name]["parameterType"]
        try:
            values[name] = _KINDS[kind](value)
        except (KeyError, ValueError):
            raise PneumoError(f"--param {text}: the input is of type {kind}") from None
    for name, of in sorted(inputs.items()):
        if name not in values and "defaultValue" not in of and not of.get("isOptional"):
            raise PneumoError(f"input {name} has no value: give --param {name}=...")
    return values


def shown(compiled: Compiled, where: Where, values: dict[str, Any]) -> str:
    """What would be sent, as JSON: to whom, which values, and what each node gets."""
    spec = compiled.spec
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: of["defaultValue"] for name, of in inputs.items() if "defaultValue" in of}
    nodes = {}
    for name, task in sorted(spec["root"]["dag"]["tasks"].items()):
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label].get("container", {})
        nodes[name] = {
            "image": container.get("image"),
            "resources": container.get("resources", {}),
            "retries": task.get("retryPolicy", {}).get("maxRetryCount", 0),
            "cached": bool(task.get("cachingOptions", {}).get("enableCache")),
        }
    to = {"project": where.project, "region": where.region, "endpoint": where.endpoint}
    if compiled.target == "kubeflow":
        to = {"host": where.host, "namespace": where.namespace}
    told = {
        "target": compiled.target,
        "to": {key: value for key, value in to.items() if value},
        "pipeline": compiled.name,
        "root": compiled.root,
        "experiment": where.experiment,
        "service_account": where.service_account,
        "given": values,
        "parameters": {**defaults, **values},
        "nodes": nodes,
    }
    return json.dumps(told, indent=1)
