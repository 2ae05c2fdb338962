"""The interpreter on graphs of two tasks whose containers are one line of Python."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from schema import storage
from tests.support.spec_interpreter import Platform, TaskFailed

# Copies its input and its parameter into its output; dies where a file says so.
TASK = """
import json, pathlib, sys
given = json.loads(sys.argv[1])
flag = pathlib.Path(given["inputs"]["parameterValues"]["flag"])
if flag.exists():
    flag.unlink()
    sys.exit("dies")
(out,) = given["outputs"]["artifacts"]["out"]["artifacts"]
sources = [a["artifacts"][0] for a in given["inputs"].get("artifacts", {}).values()]
text = "".join(pathlib.Path(s["uri"], "f").read_text() for s in sources)
pathlib.Path(out["uri"]).mkdir(parents=True)
pathlib.Path(out["uri"], "f").write_text(text + str(given["inputs"]["parameterValues"]["word"]))
told = {"artifacts": {"out": {"artifacts": [
    {"uri": out["uri"], "metadata": {"types": ["type" in s for s in sources]}}]}}}
file = pathlib.Path(given["outputs"]["outputFile"])
file.parent.mkdir(parents=True, exist_ok=True)
file.write_text(json.dumps(told))
"""


def component(name: str, *inputs: str) -> dict[str, Any]:
    kind = {"artifactType": {"schemaTitle": "system.Artifact"}}
    return {
        "executorLabel": f"{name}_executor",
        "inputDefinitions": {
            "parameters": {
                "word": {"parameterType": "STRING"},
                "flag": {"parameterType": "STRING", "defaultValue": "/none"},
            },
            "artifacts": dict.fromkeys(inputs, kind),
        },
        "outputDefinitions": {"artifacts": {"out": kind}},
    }


def task(name: str, word: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "taskInfo": {"name": name},
        "componentRef": {"name": name},
        "cachingOptions": {"enableCache": True},
        "inputs": {"parameters": {"word": word}},
        **more,
    }


@pytest.fixture
def spec() -> dict[str, Any]:
    second = task("second", {"runtimeValue": {"constant": "b"}}, dependentTasks=["first"])
    second["inputs"]["artifacts"] = {
        "before": {"taskOutputArtifact": {"producerTask": "first", "outputArtifactKey": "out"}}
    }
    container = {"image": "x", "command": ["python", "-c", TASK], "args": ["{{$}}"]}
    return {
        "pipelineInfo": {"name": "two"},
        "root": {
            "inputDefinitions": {
                "parameters": {"word": {"parameterType": "STRING", "defaultValue": "a"}}
            },
            "dag": {
                "tasks": {
                    "second": second,
                    "first": task("first", {"componentInputParameter": "word"}),
                }
            },
        },
        "components": {"first": component("first"), "second": component("second", "before")},
        "deploymentSpec": {
            "executors": {
                f"{name}_executor": {"container": container} for name in ("first", "second")
            }
        },
    }


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform("kubeflow", tmp_path)


def said(ran: Any) -> str:
    return storage.read_bytes(ran.uri("out") + "/f").decode()


@pytest.mark.parametrize(("given", "text"), [({}, "ab"), ({"word": "c"}, "cb")])
def test_order_parameters_and_artifacts(
    platform: Platform, spec: dict[str, Any], tmp_path: Path, given: dict[str, str], text: str
) -> None:
    done = platform.run(spec, str(tmp_path / "root"), given)
    assert said(done["second"]) == text
    assert [done[name].attempts for name in ("first", "second")] == [1, 1]


@pytest.mark.parametrize(("kind", "typed"), [("kubeflow", False), ("vertex", True)])
def test_only_vertex_tells_types(
    kind: Any, typed: bool, spec: dict[str, Any], tmp_path: Path
) -> None:
    done = Platform(kind, tmp_path).run(spec, str(tmp_path / "root"), {})
    assert done["second"].artifacts["out"]["metadata"] == {"types": [typed]}


def test_the_cache_answers_what_did_not_change(
    platform: Platform, spec: dict[str, Any], tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    first = platform.run(spec, root, {})
    again = platform.run(spec, root, {})
    assert [ran.attempts for ran in again.values()] == [0, 0]
    assert again["second"].artifacts == first["second"].artifacts
    other = platform.run(spec, root, {"word": "c"})
    assert [ran.attempts for ran in other.values()] == [1, 1]
    del spec["root"]["dag"]["tasks"]["first"]["cachingOptions"]["enableCache"]
    assert [ran.attempts for ran in platform.run(spec, root, {}).values()] == [1, 1]


@pytest.mark.parametrize(("retries", "works"), [(0, False), (1, True)])
def test_a_task_that_dies_is_run_as_often_as_it_may(
    platform: Platform, spec: dict[str, Any], tmp_path: Path, retries: int, works: bool
) -> None:
    (tmp_path / "flag").touch()
    first = spec["root"]["dag"]["tasks"]["first"]
    first["inputs"]["parameters"]["flag"] = {"runtimeValue": {"constant": str(tmp_path / "flag")}}
    first["retryPolicy"] = {"maxRetryCount": retries}
    if works:
        assert platform.run(spec, str(tmp_path / "root"), {})["first"].attempts == 2
    else:
        with pytest.raises(TaskFailed, match="dies"):
            platform.run(spec, str(tmp_path / "root"), {})


def test_what_it_does_not_know_stops_it(
    platform: Platform, spec: dict[str, Any], tmp_path: Path
) -> None:
    def changed(*path: str, to: Any) -> dict[str, Any]:
        other = copy.deepcopy(spec)
        at = other
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = to
        return other

    tasks = ("root", "dag", "tasks")
    executors = ("deploymentSpec", "executors", "first_executor")
    for other, error in (
        (changed(*tasks, "first", "triggerPolicy", to={}), NotImplementedError),
        (changed(*executors, to={"importer": {}}), NotImplementedError),
        (changed(*tasks, "second", "dependentTasks", to=[]), AssertionError),
        (
            changed(*tasks, "first", "inputs", "parameters", "word",
                    to={"taskOutputParameter": {}}),
            NotImplementedError,
        ),
        (changed("root", "inputDefinitions", "parameters", "word",
                 to={"parameterType": "STRING"}), ValueError),
        (changed("root", "inputDefinitions", "parameters", "word",
                 to={"parameterType": "NUMBER_INTEGER", "defaultValue": "a"}), ValueError),
    ):  # fmt: skip
        with pytest.raises(error):
            platform.run(other, str(tmp_path / "root"), {})
    with pytest.raises(ValueError, match="no parameter"):
        platform.run(spec, str(tmp_path / "root"), {"wrong": 1})
    assert json.dumps(spec)  # not changed
