"""The checks refuse what is wrong: each case breaks a good spec in one place."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.kubeflow.ready import as_text
from pipeline.kubeflow.validate import (
    check,
    check_links,
    check_schema,
    load_with_aiplatform,
    load_with_kfp,
)
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import job_of, spec_of

Break = Callable[[dict[str, Any]], Any]


def tasks(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"]  # type: ignore[no-any-return]


def executors(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["deploymentSpec"]["executors"]  # type: ignore[no-any-return]


def source(spec: dict[str, Any], task: str, key: str) -> dict[str, Any]:
    return tasks(spec)[task]["inputs"]["artifacts"][key]["taskOutputArtifact"]  # type: ignore[no-any-return]


SCHEMA: dict[str, Break] = {
    "unknown field": lambda s: s.update(surprise=1),
    "unknown field of a task": lambda s: tasks(s)["Trainer"].update(retries=3),
    "a number for a text": lambda s: s.update(schemaVersion=2.1),
    "another schema": lambda s: s.update(schemaVersion="2.0.0"),
    "a text for a number": lambda s: tasks(s)["Trainer"]["retryPolicy"].update(
        maxRetryCount="many"
    ),
    "a duration without unit": lambda s: tasks(s)["Trainer"]["retryPolicy"].update(
        backoffDuration="30"
    ),
    "no name": lambda s: s["pipelineInfo"].clear(),
    "no task": lambda s: tasks(s).clear(),
    "unknown resource": lambda s: executors(s)["Trainer_executor"]["container"]["resources"].update(
        gpus=1
    ),
    "a text for processors": lambda s: executors(s)["Trainer_executor"]["container"][
        "resources"
    ].update(cpuLimit="lots"),
    "unknown parameter type": lambda s: s["root"]["inputDefinitions"]["parameters"][
        "epochs"
    ].update(parameterType="INT"),
}

LINKS: dict[str, Break] = {
    "component": lambda s: s["components"].pop("Gate"),
    "executor": lambda s: executors(s).pop("Gate_executor"),
    "producer": lambda s: source(s, "Gate", "model").update(producerTask="Nobody"),
    "output": lambda s: source(s, "Gate", "model").update(outputArtifactKey="nothing"),
    "artifact type": lambda s: source(s, "Gate", "model").update(outputArtifactKey="model_run"),
    "artifact": lambda s: tasks(s)["Gate"]["inputs"]["artifacts"].pop("predictions"),
    "order": lambda s: tasks(s)["Gate"]["dependentTasks"].remove("Trainer"),
    "dependency": lambda s: tasks(s)["Gate"]["dependentTasks"].append("Nobody"),
    "circle": lambda s: tasks(s)["ImportExampleGen"].update(dependentTasks=["Pusher"]),
    "root input": lambda s: s["root"]["inputDefinitions"]["parameters"].pop("epochs"),
    "type of an input": lambda s: s["root"]["inputDefinitions"]["parameters"]["epochs"].update(
        parameterType="STRING"
    ),
    "undeclared parameter": lambda s: tasks(s)["Gate"]["inputs"]["parameters"].update(
        more={"runtimeValue": {"constant": 1}}
    ),
    "parameter": lambda s: tasks(s)["Gate"]["inputs"]["parameters"].pop("options"),
    "what another compiler writes": lambda s: source(s, "Gate", "model").pop("producerTask"),
    "name": lambda s: tasks(s).update({"latest_blessed_model": tasks(s)["latest-blessed-model"]}),
}


def test_a_good_one_passes() -> None:
    check(spec_of("demo"))


@pytest.mark.parametrize("what", sorted(SCHEMA))
def test_what_the_schema_refuses(what: str) -> None:
    spec = spec_of("demo")
    SCHEMA[what](spec)
    with pytest.raises(PneumoError) as told:
        check_schema(spec)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("what", sorted(LINKS))
def test_what_does_not_hold_together(what: str) -> None:
    spec = spec_of("demo")
    LINKS[what](spec)
    if what != "parameter":  # the message allows it
        check_schema(spec)
    with pytest.raises(PneumoError, match="does not hold together") as told:
        check_links(spec)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "a: 1\n", "components: {}\n", "- 1\n- 2\n"],
)
def test_what_kfp_refuses(text: str) -> None:
    with pytest.raises(PneumoError, match="kfp cannot load it"):
        load_with_kfp(text)


def test_kfp_refuses_an_unknown_field() -> None:
    spec = spec_of("demo")
    spec["surprise"] = 1
    with pytest.raises(PneumoError, match="surprise"):
        load_with_kfp(as_text(spec, "kubeflow"))


def test_kfp_refuses_an_unknown_type() -> None:
    spec = spec_of("demo")
    SCHEMA["unknown parameter type"](spec)
    with pytest.raises(PneumoError):
        load_with_kfp(as_text(spec, "kubeflow"))


@pytest.mark.parametrize("what", ["no name", "parameter", "schema"])
def test_what_the_client_of_vertex_refuses(what: str) -> None:
    job = job_of("demo", target="vertex")
    parameters: dict[str, Any] = {}
    if what == "no name":
        del job["pipelineSpec"]["pipelineInfo"]
    elif what == "parameter":
        parameters = {"no_such": 1}
    else:
        job["runtimeConfig"] = {"surprise": 1}
        job["pipelineSpec"]["schemaVersion"] = None
    with pytest.raises(PneumoError, match="Vertex AI's client cannot load it"):
        load_with_aiplatform(json.dumps(job), parameters)
