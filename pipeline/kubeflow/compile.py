"""The graph as a PipelineSpec: for Kubeflow Pipelines, or inside a PipelineJob for Vertex AI."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Final

from components.endpoint_validator.choice import Validation
from components.trainer.asked import ask
from pipeline.config import Config, RunFacts
from pipeline.kubeflow.engine import engine_args
from pipeline.kubeflow.options import Target
from pipeline.kubeflow.parameters import PACKAGE, PARAMETERS, PREFIX
from pipeline.kubeflow.resources import (
    cached,
    check_nodes,
    container_resources,
    platform_of,
    resources_of,
    retry_policy,
)
from schema.errors import PneumoError
from schema.storage import is_remote, join

COMMAND: Final = ["python", "-m", "pipeline.kubeflow.entry"]
_INPUTS_ARGUMENT: Final = "--json_serialized_inputs_spec_args"
_TYPES: Final = {str: "STRING", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"}
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent


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
      config: its part `deploy` says the rest: data, resources, retries, cache.
      target: who runs it.
      image: of every container.
      root: URI below which the platform keeps the artifacts; a plain folder is for tests.
      pipeline_name: none: pneumo-NAME of the configuration.

    Returns:
      kubeflow: a PipelineSpec; vertex: a PipelineJob. Schema 2.1.0.

    Raises:
      PneumoError: the packages for it are not installed, or the configuration asks for what the
        target does not have.
    """
    need_packages()
    import tfx.v1  # noqa: F401  before TFDV, which fails when it is imported first
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as runner

    from pipeline.pipeline import create_pipeline

    pipeline = create_pipeline(with_facts(config, root))
    settings = runner.KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=COMMAND, use_pipeline_spec_2_1=True
    )
    job = runner.KubeflowV2DagRunner(settings).run(pipeline, write_out=False)
    spec = job["pipelineSpec"]
    spec["pipelineInfo"]["name"] = pipeline_name or f"pneumo-{config.name}"
    spec["defaultPipelineRoot"] = root
    check_nodes(config.deploy, spec["root"]["dag"]["tasks"])
    _name_package_files(spec)
    _add_parameters(spec, config)
    _place_tasks(spec, config, target)
    _rename(spec)
    if target == "kubeflow":
        return spec
    job["displayName"] = spec["pipelineInfo"]["name"]
    return job


def platform_spec(config: Config, spec: dict[str, Any]) -> dict[str, Any] | None:
    """What goes to Kubeflow Pipelines as a second document; None where there is nothing to say."""
    executors: dict[str, Any] = {}
    for label, container in spec["deploymentSpec"]["executors"].items():
        if "container" in container:
            given = resources_of(label.removesuffix("_executor"), config.deploy)
            told = platform_of(given, config.deploy)
            executors |= {label: told} if told else {}
    if not executors:
        return None
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def need_packages(python: tuple[int, int] = sys.version_info[:2]) -> None:
    """Stops where the packages that compile are not installed.

    Args:
      python: version of the interpreter.

    Raises:
      PneumoError: they are not.
    """
    if importlib.util.find_spec("kfp") is not None:
        return
    if python >= (3, 12):
        raise PneumoError(
            f"TFX takes kfp only below Python 3.12, and this is {python[0]}.{python[1]}; compile "
            "with Python 3.11"
        )
    raise PneumoError("package kfp is not installed; pip install 'pneumo-tfx[cloud]'")


def with_facts(config: Config, root: str) -> Config:
    """Fills in what the graph needs to know, as far as it is known before anything runs.

    Args:
      config: of the run.
      root: URI of the artifacts.

    Raises:
      PneumoError: batch.records is a folder of this machine, or the engine lacks an address.
    """
    deploy = config.deploy
    batch = config.batch.records if config.batch else ""
    if batch and is_remote(root) and not is_remote(batch):
        raise PneumoError(
            f"batch.records: {batch} is a folder of this machine, which the cluster does not see; "
            "give a gs://, s3:// or minio:// URI"
        )
    pushed = config.serving.push_to if is_remote(config.serving.push_to or "") else None
    return config.model_copy(
        update={
            "run": RunFacts(
                records=deploy.data or "",
                records_sha256="",
                synthetic=None,
                root=root,
                push_to=deploy.push_to or pushed or join(root, "serving"),
                checkpoints=deploy.checkpoints or join(root, "checkpoints"),
                weights=ask(config.model).to_dict(),
                infra_validation=_validation(config),
                batch_records=batch,
                baseline="pushed",
                beam_args=engine_args(config),
            )
        }
    )


def _validation(config: Config) -> Validation:
    """TFX's InfraValidator cannot be compiled; a new process or our server tries the model."""
    wanted = config.serving.infra_validation
    return wanted if wanted in ("endpoint", "none") else "savedmodel"


def _name_package_files(spec: dict[str, Any]) -> None:
    """Files of this package by a name that holds in the image too."""
    here = f"{_PACKAGE_ROOT}/"
    for task in spec["root"]["dag"]["tasks"].values():
        for given in task.get("inputs", {}).get("parameters", {}).values():
            value = given.get("runtimeValue", {}).get("constant")
            if isinstance(value, str) and value.startswith(here):
                given["runtimeValue"]["constant"] = PACKAGE + value.removeprefix(here)


def _add_parameters(spec: dict[str, Any], config: Config) -> None:
    """Makes them inputs of the graph and leads each to the tasks that need it."""
    inputs: dict[str, Any] = {}
    tasks = spec["root"]["dag"]["tasks"]
    for name, parameter in PARAMETERS.items():
        default = parameter.default(config)
        if default is None:
            continue
        inputs[name] = {"parameterType": _TYPES[parameter.kind], "description": parameter.about}
        if default != "":
            inputs[name] |= {"defaultValue": default, "isOptional": True}
        for place in parameter.places:
            task = tasks.get(place.node)
            if task is None:
                continue
            key = place.key if place.whole else PREFIX + name
            task["inputs"]["parameters"][key] = {"componentInputParameter": name}
            component = spec["components"][task["componentRef"]["name"]]
            component["inputDefinitions"]["parameters"][key] = {
                "parameterType": _TYPES[parameter.kind]
            }
    spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {}).update(inputs)
    # The container reads the types of its inputs from its arguments.
    for component in spec["components"].values():
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        told = json.dumps(component.get("inputDefinitions", {}), sort_keys=True)
        hook = container.get("lifecycle", {}).get("preCacheCheck", {})
        for arguments in (container["args"], hook.get("args", [])):
            if _INPUTS_ARGUMENT in arguments:
                arguments[arguments.index(_INPUTS_ARGUMENT) + 1] = told


def _place_tasks(spec: dict[str, Any], config: Config, target: Target) -> None:
    """Resources, retries, cache and environment of each task."""
    deploy = config.deploy
    env = [{"name": name, "value": value} for name, value in sorted(deploy.env.items())]
    for node, task in spec["root"]["dag"]["tasks"].items():
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label]["container"]
        given = resources_of(node, deploy)
        container["resources"] = container_resources(node, given, target)
        if env:
            container["env"] = env
        task["cachingOptions"] = {"enableCache": True} if cached(node, deploy, target) else {}
        if policy := retry_policy(node, deploy):
            task["retryPolicy"] = policy


def _rename(spec: dict[str, Any]) -> None:
    """Names of tasks and components without underscores: Argo, below Kubeflow, refuses them."""
    dag = spec["root"]["dag"]
    dag["tasks"] = {_named(name): task for name, task in dag["tasks"].items()}
    for task in dag["tasks"].values():
        task["taskInfo"]["name"] = _named(task["taskInfo"]["name"])
        task["componentRef"]["name"] = _named(task["componentRef"]["name"])
        if "dependentTasks" in task:
            task["dependentTasks"] = [_named(name) for name in task["dependentTasks"]]
        for given in task.get("inputs", {}).get("artifacts", {}).values():
            output = given["taskOutputArtifact"]
            output["producerTask"] = _named(output["producerTask"])
    spec["components"] = {_named(name): of for name, of in spec["components"].items()}


def _named(node: str) -> str:
    return node.replace("_", "-")
