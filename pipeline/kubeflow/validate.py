"""Whether a compiled graph would be taken: by the schema, by its own links, by both clients."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from schema.errors import PneumoError

# What Argo, which runs Kubeflow's graphs, takes as the name of a task.
_NAME: Final = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,127}")


def check(spec: dict[str, Any]) -> None:
    """The checks that need no client: `check_schema` and `check_links`.

    Raises:
      PneumoError: the spec is wrong; the line says where.
    """
    check_schema(spec)
    check_links(spec)


def check_schema(spec: dict[str, Any]) -> None:
    """Holds a spec against the PipelineSpec message: no unknown field, no wrong type.

    Raises:
      PneumoError: it does not hold.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        # A Struct in the message; its content has a type of its own.
        json_format.ParseDict(
            spec.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig()
        )
    except json_format.ParseError as error:
        raise PneumoError(f"not a PipelineSpec: {' '.join(str(error).split())[:300]}") from None
    if not message.pipeline_info.name or not message.root.dag.tasks:
        raise PneumoError("not a PipelineSpec: it has no pipelineInfo.name or no task")
    if message.schema_version != "2.1.0":
        raise PneumoError(f"schemaVersion is {message.schema_version!r}, not '2.1.0'")


def check_links(spec: dict[str, Any]) -> None:
    """Follows every name in a spec: components, executors, artifacts, parameters, order.

    Raises:
      PneumoError: a name that leads nowhere, types that differ, or a circle.
    """
    try:
        wrong = next(_wrong_links(spec), None)
    except KeyError as error:
        wrong = f"it lacks {error}, which `pneumo compile` writes"
    if wrong:
        raise PneumoError(f"the compiled graph does not hold together: {wrong}")


def _wrong_links(spec: dict[str, Any]) -> Iterator[str]:
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    for name, task in tasks.items():
        if not _NAME.fullmatch(name):
            yield f"task {name!r} has a name that Kubeflow's engine refuses; letters, digits, -"
        component = components.get(task["componentRef"]["name"])
        if component is None:
            yield f"task {name} has no component {task['componentRef']['name']!r}"
            continue
        if component.get("executorLabel") not in spec["deploymentSpec"]["executors"]:
            yield f"component of {name} has no executor {component.get('executorLabel')!r}"
        yield from _wrong_parameters(name, component.get("inputDefinitions", {}), spec)
        wanted = component.get("inputDefinitions", {}).get("artifacts", {})
        given = task.get("inputs", {}).get("artifacts", {})
        for key in wanted.keys() - given.keys():
            yield f"task {name} does not get artifact {key}"
        for key, value in given.items():
            yield from _wrong_artifact(name, key, value["taskOutputArtifact"], spec)
        for before in task.get("dependentTasks", []):
            if before not in tasks:
                yield f"task {name} waits for {before!r}, which is not there"
    if (circle := _circle(tasks)) is not None:
        yield f"tasks wait for each other: {circle}"


def _wrong_parameters(name: str, declared: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    given = spec["root"]["dag"]["tasks"][name].get("inputs", {}).get("parameters", {})
    kinds = {key: of["parameterType"] for key, of in declared.get("parameters", {}).items()}
    for key, value in given.items():
        if key not in kinds:
            yield f"task {name} gets parameter {key}, which its component does not have"
            continue
        source = value.get("componentInputParameter")
        if source is not None and inputs.get(source, {}).get("parameterType") != kinds[key]:
            yield f"parameter {key} of {name} comes from {source!r}: missing, or not {kinds[key]}"
    for key in kinds.keys() - given.keys():
        yield f"task {name} does not get parameter {key}"


def _wrong_artifact(
    name: str, key: str, source: dict[str, str], spec: dict[str, Any]
) -> Iterator[str]:
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    producer = tasks.get(source["producerTask"])
    if producer is None:
        yield f"artifact {key} of {name} comes from {source['producerTask']!r}, which is not there"
        return
    if source["producerTask"] not in tasks[name].get("dependentTasks", []):
        yield f"task {name} reads from {source['producerTask']} and does not wait for it"
    outputs = components.get(producer["componentRef"]["name"], {}).get("outputDefinitions", {})
    made = outputs.get("artifacts", {}).get(source["outputArtifactKey"])
    wanted = components[tasks[name]["componentRef"]["name"]]["inputDefinitions"]["artifacts"]
    if made is None:
        yield f"{source['producerTask']} has no output {source['outputArtifactKey']!r} for {name}"
    elif made["artifactType"] != wanted.get(key, {}).get("artifactType"):
        yield f"artifact {key} of {name} is of another type than {source['producerTask']} gives"


def _circle(tasks: dict[str, Any]) -> str | None:
    left = {
        name: set(task.get("dependentTasks", [])) & tasks.keys() for name, task in tasks.items()
    }
    while left:
        ready = {name for name, before in left.items() if not before}
        if not ready:
            return ", ".join(sorted(left))
        left = {name: before - ready for name, before in left.items() if name not in ready}
    return None


def load_with_kfp(text: str) -> str:
    """Loads a spec as Kubeflow's own client does; returns the name of the pipeline.

    Args:
      text: YAML, with or without a second document for the platform.

    Raises:
      PneumoError: the client refuses it.
    """
    from kfp import components

    try:
        loaded = components.load_component_from_text(text)
        return str(loaded.pipeline_spec.pipeline_info.name)
    except Exception as error:  # the loader raises what lies below it: yaml, protobuf, its own
        raise PneumoError(f"kfp cannot load it: {' '.join(str(error).split())[:300]}") from None


def load_with_aiplatform(job: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Makes the job that Vertex AI's client would send, without credentials; sends nothing.

    Args:
      job: a PipelineJob in JSON.
      parameters: name -> value.

    Returns:
      The message as a dict.

    Raises:
      PneumoError: the client refuses it.
    """
    from google.auth import credentials
    from google.cloud import aiplatform
    from google.cloud.aiplatform import initializer

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(job)
        before = initializer.global_config.project if initializer.global_config._project else None
        try:
            made = aiplatform.PipelineJob(
                display_name="check",
                template_path=str(file),
                parameter_values=parameters or {},
                project=before or "check",
                location="europe-west4",
                credentials=credentials.AnonymousCredentials(),
            )
        except Exception as error:  # ValueError, KeyError, TypeError, protobuf's own
            told = " ".join(str(error).split())[:300]
            raise PneumoError(f"Vertex AI's client cannot load it: {told}") from None
        return dict(made.to_dict())
