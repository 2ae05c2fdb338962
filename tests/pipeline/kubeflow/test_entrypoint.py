import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow import entrypoint
from schema import storage

SCHEMA_GEN = "tfx.components.schema_gen.import_schema_gen.executor.Executor"
EXAMPLE_GEN = "tfx.components.example_gen.import_example_gen.executor.Executor"
SPLITS = '{"splits": [{"name": "train", "pattern": "train-*.tfrecord"}]}'
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def executor_input(output_file: str, parameters: dict[str, Any], **outputs: str) -> str:
    return json.dumps(
        {
            "inputs": {"parameterValues": parameters},
            "outputs": {
                "outputFile": output_file,
                "artifacts": {
                    key: {
                        "artifacts": [
                            {
                                "name": "7",
                                "uri": uri,
                                "type": {"instanceSchema": f"title: tfx.{key.title()}\n"},
                            }
                        ]
                    }
                    for key, uri in outputs.items()
                },
            },
        }
    )


def run(executor: str, given: str, *more: str) -> int:
    return entrypoint.main(
        [
            "--executor_class_path",
            executor,
            "--json_serialized_invocation_args",
            given,
            "--json_serialized_inputs_spec_args",
            "{}",
            *more,
        ]
    )


@pytest.mark.parametrize(
    ("beam", "arguments", "here"),
    [
        (True, [], True),
        (True, ["--runner=DirectRunner"], True),
        (True, ["--runner=apache_beam.x.fn_api_runner.FnApiRunner"], True),
        (True, ["--runner=FlinkRunner"], False),
        (True, ["--project=p", "--runner=DataflowRunner"], False),
        (False, ["--runner=FlinkRunner"], True),
    ],
)
def test_which_components_work_on_copies(beam: bool, arguments: list[str], here: bool) -> None:
    assert entrypoint.uses_local_files(beam, arguments) is here


@pytest.mark.parametrize(
    "output_file", ["memory://bucket/task/executor_output.json", "{tmp}/o/out.json"]
)
def test_a_task_writes_its_outputs_to_the_store(
    output_file: str, tmp_path: Path, scratch: Path
) -> None:
    output_file = output_file.replace("{tmp}", str(tmp_path))
    uri = f"memory://bucket/{tmp_path.name}/schema"
    given = executor_input(
        output_file, {"schema_file": "package://schema/schema.pbtxt"}, schema=uri
    )
    assert run(SCHEMA_GEN, given) == 0
    assert b"image/encoded" in storage.read_bytes(f"{uri}/schema.pbtxt")
    (artifact,) = json.loads(storage.read_bytes(output_file))["artifacts"]["schema"]["artifacts"]
    assert artifact["uri"] == uri
    assert artifact["name"] == "7"
    assert list(scratch.iterdir()) == []


def test_what_a_user_can_mend_is_one_line(
    tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases = [
        (SCHEMA_GEN, "{", "not a ExecutorInput"),
        (
            EXAMPLE_GEN,
            executor_input("x/out", {"input_base": "/none", "input_config": SPLITS}, examples="/x"),
            "records /none do not exist",
        ),
        (
            EXAMPLE_GEN,
            executor_input(
                "x/out", {"input_base": "s3://b/r", "input_config": SPLITS}, examples="s3://b/e"
            ),
            "gs:// or a shared folder",
        ),
    ]
    for executor, given, words in cases:
        caplog.clear()
        more = ["--runner=FlinkRunner"] if "s3://" in given else []
        placed = given.replace('"/x"', json.dumps(str(tmp_path / "e")))
        assert run(executor, placed, *more) == 2
        (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        assert words in line
        assert "\n" not in line
        assert list(scratch.iterdir()) == []


def test_a_function_component_returns_its_properties(tmp_path: Path, scratch: Path) -> None:
    given = json.loads(
        executor_input(str(tmp_path / "out.json"), {}, model=str(tmp_path / "found"))
    )
    given["inputs"] = {
        "parameterValues": {"push_to": str(tmp_path), "code": "x"},  # no parameter of the function
        "artifacts": {
            "candidate": {
                "artifacts": [
                    {
                        "name": "1",
                        "uri": str(tmp_path / "candidate"),
                        "type": {"instanceSchema": "title: tfx.Model\n"},
                    }
                ]
            }
        },
    }
    assert run("components.baseline.component.Baseline_Executor", json.dumps(given)) == 0
    (artifact,) = json.loads((tmp_path / "out.json").read_text())["artifacts"]["model"]["artifacts"]
    assert artifact["metadata"]["found"] == 0
    assert (tmp_path / "found" / "found.json").is_file()


def test_a_broken_component_ends_with_one(tmp_path: Path, scratch: Path) -> None:
    given = executor_input(
        "x/out", {"schema_file": str(tmp_path / "none")}, schema=str(tmp_path / "s")
    )
    assert run(SCHEMA_GEN, given) == 1
    assert list(scratch.iterdir()) == []


def test_a_task_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = executor_input(str(tmp_path / "output" / "out.json"), {}, model="memory://bucket/model")
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pipeline.kubeflow.entrypoint",
            "--executor_class_path",
            "tests.pipeline.kubeflow.sleeper.Executor",
            "--json_serialized_invocation_args",
            given,
        ],
        stdout=subprocess.PIPE,
        stderr=out.open("w"),
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "sleeps\n", out.read_text()
    assert list((tmp_path / "tmp").rglob("half"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert "stopped by signal 15" in out.read_text()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "output").exists()
