"""Compiles the graph to a PipelineSpec for Kubeflow Pipelines, or a PipelineJob for Vertex AI."""

import importlib.util
import json
import sys
from typing import Any, Final

import yaml

from core.models.backbone_weights import defer_member_weights, defer_weights
from pipeline.code_keys import ROOT
from pipeline.config import Config
from pipeline.engines.arguments import beam_args
from pipeline.kubeflow.options import Target
from pipeline.kubeflow.resources import (
    cached,
    check_nodes,
    container_resources,
    node_resources,
    platform_options,
    retry_policy,
)
from pipeline.kubeflow.runtime_parameters import PACKAGE, PARAMETERS, PREFIX
from pipeline.run_context import RunContext
from schema.errors import PneumoError
from schema.storage import is_remote, join

COMMAND: Final = ["python", "-m", "pipeline.kubeflow.entrypoint"]
_INPUTS_ARGUMENT: Final = "--json_serialized_inputs_spec_args"
_TYPES: Final[dict[Any, str]] = {str: "STRING", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}
_MASTERS: Final = {"flink": "flink_master", "spark": "spark_master"}


def compile_spec(
    config: Config,
    target: Target,
    *,
    image: str,
    root: str,
    pipeline_name: str | None = None,
) -> dict[str, Any]:
    """Compiles the graph of a configuration.

    Args:
      config: its section `deploy` sets data, resources, retries and caching.
      target: the platform.
      image: container image of every node.
      root: URI below which the platform stores the artifacts; tests use a local folder.
      pipeline_name: None: pneumo-NAME, with the name of the configuration.

    Returns:
      kubeflow: a PipelineSpec; vertex: a PipelineJob. Schema 2.1.0.

    Raises:
      PneumoError: packages are missing, or the configuration does not fit the target.
    """
    require_packages()
    import tfx.v1  # noqa: F401  before TFDV, which fails when it is imported first
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as runner

    from pipeline.pipeline import create_pipeline

    settings = runner.KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=COMMAND, use_pipeline_spec_2_1=True
    )
    pipeline = create_pipeline(config, run_context(config, root))
    job = runner.KubeflowV2DagRunner(settings).run(pipeline, write_out=False)
    spec = job["pipelineSpec"]
    spec["pipelineInfo"]["name"] = pipeline_name or f"pneumo-{config.name}"
    spec["defaultPipelineRoot"] = root
    check_nodes(config.deploy, spec["root"]["dag"]["tasks"])
    _name_package_files(spec)
    _add_parameters(spec, config)
    _configure_tasks(spec, config, target)
    _rename(spec)
    if target == "kubeflow":
        return spec
    job["displayName"] = spec["pipelineInfo"]["name"]
    return job


def platform_spec(config: Config, spec: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the platform document of Kubeflow with GPU types and secrets, if needed."""
    executors = {
        label: platform
        for label in spec["deploymentSpec"]["executors"]
        if (platform := platform_options(label.removesuffix("_executor"), config.deploy))
    }
    if not executors:
        return None
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def as_text(
    compiled: dict[str, Any], target: Target, platform: dict[str, Any] | None = None
) -> str:
    """Returns the content of the file: YAML for Kubeflow, one or two documents; JSON for Vertex AI.

    Args:
      compiled: output of `compile_spec`.
      target: the platform.
      platform: output of `platform_spec`.
    """
    if target == "vertex":
        return json.dumps(compiled, indent=1, sort_keys=True) + "\n"
    documents = [compiled, *([platform] if platform else [])]
    head = f"# PIPELINE DEFINITION\n# Name: {compiled['pipelineInfo']['name']}\n"
    return head + yaml.safe_dump_all(documents, sort_keys=True, width=100)


def require_packages(python: tuple[int, int] = sys.version_info[:2]) -> None:
    """Checks that the packages for compilation are installed.

    Args:
      python: version of the interpreter.

    Raises:
      PneumoError: a package is missing.
    """
    if importlib.util.find_spec("kfp") is not None:
        return
    if python >= (3, 12):
        raise PneumoError(
            f"TFX supports kfp only below Python 3.12, and this is {python[0]}.{python[1]}; "
            "compile with Python 3.11"
        )
    raise PneumoError("package kfp is not installed; pip install 'pneumo-tfx[cloud]'")


def run_context(config: Config, root: str) -> RunContext:
    """Returns what the graph needs to know about a run on a cluster.

    Args:
      config: configuration of the run.
      root: URI of the artifacts.

    Raises:
      PneumoError: batch.records is a local folder, or the engine lacks an address.
    """
    deploy = config.deploy
    batch = config.batch.records if config.batch else ""
    if batch and is_remote(root) and not is_remote(batch):
        raise PneumoError(
            f"batch.records: {batch} is a local folder, which the cluster cannot read; "
            "use a gs://, s3:// or minio:// URI"
        )
    pushed = config.serving.push_to if is_remote(config.serving.push_to or "") else None
    if config.training.distill is not None:
        raise PneumoError(
            "training.distill needs the teacher on the machine that trains; remove it, or use "
            "`pneumo run`"
        )
    validation = config.serving.infra_validation
    return RunContext(
        records=deploy.data or "",
        records_sha256="",
        synthetic=None,
        root=root,
        push_to=deploy.push_to or pushed or join(root, "serving"),
        checkpoints=deploy.checkpoints or join(root, "checkpoints"),
        weights=defer_weights(config.model),
        member_weights=defer_member_weights(config.model),
        # The InfraValidator of TFX cannot be compiled.
        infra_validation=validation if validation in ("endpoint", "none") else "savedmodel",
        batch_records=batch,
        baseline="pushed",
        beam_args=_beam_args(config),
    )


def _beam_args(config: Config) -> tuple[str, ...]:
    engine, options = config.engine, config.beam
    master = _MASTERS.get(engine)
    if master and not getattr(options, master) and not options.job_endpoint:
        raise PneumoError(
            f"engine {engine} needs a running cluster: set beam.{master} or beam.job_endpoint"
        )
    # Transform has the most cores of the nodes that use Beam.
    return tuple(
        beam_args(engine, options, int(node_resources("Transform", config.deploy).cpu or 1))
    )


def _name_package_files(spec: dict[str, Any]) -> None:
    """Replaces paths of package files by names that are valid in the image too."""
    here = f"{ROOT}/"
    for task in spec["root"]["dag"]["tasks"].values():
        for parameter in task.get("inputs", {}).get("parameters", {}).values():
            value = parameter.get("runtimeValue", {}).get("constant")
            if isinstance(value, str) and value.startswith(here):
                parameter["runtimeValue"]["constant"] = PACKAGE + value.removeprefix(here)


def _add_parameters(spec: dict[str, Any], config: Config) -> None:
    """Adds the parameters as inputs of the graph and connects them to their tasks."""
    inputs: dict[str, Any] = {}
    tasks = spec["root"]["dag"]["tasks"]
    for name, parameter in PARAMETERS.items():
        default = parameter.default(config)
        if default is None:
            continue
        kind = {"parameterType": _TYPES[parameter.kind]}
        inputs[name] = {**kind, "description": parameter.description}
        if default != "":
            inputs[name] |= {"defaultValue": default, "isOptional": True}
        for to in parameter.destinations:
            if task := tasks.get(to.node):
                key = PREFIX + name if to.field else to.key
                task["inputs"]["parameters"][key] = {"componentInputParameter": name}
                component = spec["components"][task["componentRef"]["name"]]
                component["inputDefinitions"]["parameters"][key] = dict(kind)
    spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {}).update(inputs)
    # The container reads the types of its inputs from its arguments.
    for component in spec["components"].values():
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        definitions = json.dumps(component.get("inputDefinitions", {}), sort_keys=True)
        hook = container.get("lifecycle", {}).get("preCacheCheck", {})
        for arguments in (container["args"], hook.get("args", [])):
            if _INPUTS_ARGUMENT in arguments:
                arguments[arguments.index(_INPUTS_ARGUMENT) + 1] = definitions


def _configure_tasks(spec: dict[str, Any], config: Config, target: Target) -> None:
    """Sets resources, retries, cache and environment of each task."""
    deploy = config.deploy
    env = [{"name": name, "value": value} for name, value in sorted(deploy.env.items())]
    for node, task in spec["root"]["dag"]["tasks"].items():
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label]["container"]
        container["resources"] = container_resources(node, node_resources(node, deploy), target)
        if env:
            container["env"] = env
        task["cachingOptions"] = {"enableCache": True} if cached(node, deploy, target) else {}
        if policy := retry_policy(node, deploy):
            task["retryPolicy"] = policy


def _rename(spec: dict[str, Any]) -> None:
    """Replaces underscores in names of tasks and components, which Argo does not accept."""
    dag = spec["root"]["dag"]
    dag["tasks"] = {_valid(name): task for name, task in dag["tasks"].items()}
    for task in dag["tasks"].values():
        task["taskInfo"]["name"] = _valid(task["taskInfo"]["name"])
        task["componentRef"]["name"] = _valid(task["componentRef"]["name"])
        if "dependentTasks" in task:
            task["dependentTasks"] = [_valid(name) for name in task["dependentTasks"]]
        for artifact in task.get("inputs", {}).get("artifacts", {}).values():
            output = artifact["taskOutputArtifact"]
            output["producerTask"] = _valid(output["producerTask"])
    spec["components"] = {_valid(name): component for name, component in spec["components"].items()}


def _valid(node: str) -> str:
    return node.replace("_", "-")
