import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as kfp

from pipeline.kubeflow.compile import run_context
from pipeline.kubeflow.container_task import ContainerTask
from pipeline.node_options import trainer_options
from schema import storage
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import config_of

TRAINER = "tfx.components.trainer.executor.GenericExecutor"
MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
NUMBER = {"instanceSchema": "title: tfx.Integer\ntype: object\n"}


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    return f"memory://bucket/{request.node.name}"


def task(
    scratch: Path,
    *,
    parameters: dict[str, object] | None = None,
    inputs: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    local: bool = True,
    kind: dict[str, str] = MODEL,
) -> ContainerTask:
    given = {
        "inputs": {
            "parameterValues": parameters or {},
            "artifacts": {
                key: {"artifacts": [{"name": "1", "uri": uri}]}
                for key, uri in (inputs or {}).items()
            },
        },
        "outputs": {
            "artifacts": {
                key: {"artifacts": [{"uri": uri, "type": kind}]}
                for key, uri in (outputs or {}).items()
            }
        },
    }
    types = {"artifacts": {key: {"artifactType": kind} for key in inputs or {}}}
    return ContainerTask(
        json_format.ParseDict(given, kfp.ExecutorInput()),
        json_format.ParseDict(types, kfp.ComponentInputsSpec()),
        scratch,
        local,
    )


def uri_of(found: ContainerTask, side: str, key: str) -> str:
    return str(getattr(found.message, side).artifacts[key].artifacts[0].uri)


def test_types_and_parameters_are_filled_in(tmp_path: Path) -> None:
    config = trainer_options(config_of("demo"), run_context(config_of("demo"), "/root")).to_json()
    found = task(
        tmp_path,
        parameters={"custom_config": config, "pneumo_epochs": 3.0, "size": 2.0},
        inputs={"model": "/m"},
    )
    found.fill_in(TRAINER)
    values = found.message.inputs.parameter_values
    assert set(values) == {"custom_config", "size"}
    assert json.loads(values["custom_config"].string_value)["training"]["epochs"] == 3
    assert values["size"].number_value == 2
    assert (
        found.message.inputs.artifacts["model"]
        .artifacts[0]
        .type.instance_schema.startswith("title: tfx.Model")
    )


def test_a_wrong_parameter_is_one_line(tmp_path: Path) -> None:
    found = task(tmp_path, parameters={"custom_config": "{}", "pneumo_epochs": 0})
    with pytest.raises(PneumoError, match="epochs"):
        found.fill_in(TRAINER)


def test_inputs_are_copied_once_and_remembered(tmp_path: Path, store: str) -> None:
    storage.write_bytes(f"{store}/m/deep/file", b"x")
    found = task(
        tmp_path,
        inputs={"a": f"{store}/m", "b": f"{store}/m", "c": str(tmp_path), "d": f"{store}/none"},
    )
    found.fetch()
    assert list(Path(uri_of(found, "inputs", "d")).iterdir()) == []
    here = Path(uri_of(found, "inputs", "a"))
    assert (here / "deep" / "file").read_bytes() == b"x"
    assert uri_of(found, "inputs", "b") == str(here)
    assert uri_of(found, "inputs", "c") == str(tmp_path)
    assert found.message.inputs.artifacts["a"].artifacts[0].metadata[storage.ORIGIN] == f"{store}/m"
    assert storage.ORIGIN not in found.message.inputs.artifacts["c"].artifacts[0].metadata


def test_records_are_copied_and_must_be_there(tmp_path: Path, store: str) -> None:
    storage.write_bytes(f"{store}/train-0.tfrecord", b"r")
    found = task(tmp_path, parameters={"input_base": store})
    found.fetch()
    here = Path(found.message.inputs.parameter_values["input_base"].string_value)
    assert [path.name for path in here.iterdir()] == ["train-0.tfrecord"]
    with pytest.raises(PneumoError, match="does not exist"):
        task(tmp_path, parameters={"input_base": f"{store}/none"}).fetch()


def test_outputs_replace_what_a_killed_attempt_left(tmp_path: Path, store: str) -> None:
    storage.write_bytes(f"{store}/out/stale", b"half")
    found = task(tmp_path, outputs={"model": f"{store}/out", "empty": f"{store}/empty"})
    found.fetch()
    (Path(uri_of(found, "outputs", "model")) / "new").write_bytes(b"whole")
    found.upload()
    assert storage.list_names(f"{store}/out") == ["new"]
    assert not storage.exists(f"{store}/empty")


def test_outputs_of_this_machine_are_cleared_and_stay(tmp_path: Path) -> None:
    stale = tmp_path / "root" / "out" / "stale"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"half")
    found = task(tmp_path / "scratch", outputs={"model": str(stale.parent)})
    found.fetch()
    assert list(stale.parent.iterdir()) == []
    found.upload()
    assert uri_of(found, "outputs", "model") == str(stale.parent)


def test_a_value_is_a_file(tmp_path: Path, store: str) -> None:
    found = task(tmp_path, outputs={"number": f"{store}/number"}, kind=NUMBER)
    found.fetch()
    Path(uri_of(found, "outputs", "number")).write_text("7")
    found.upload()
    assert storage.read_bytes(f"{store}/number") == b"7"


def test_paths_of_local_copies_become_uris(tmp_path: Path, store: str) -> None:
    storage.write_bytes(f"{store}/m/file", b"x")
    found = task(tmp_path, inputs={"model": f"{store}/m"}, outputs={"out": f"{store}/o"})
    found.fetch()
    inside, out = uri_of(found, "inputs", "model"), uri_of(found, "outputs", "out")
    text = json.dumps({"a": inside, "b": out, "c": f"{out}/deep", "d": f"{out}1", "e": "x"})
    assert json.loads(found.with_uris(text)) == {
        "a": f"{store}/m",
        "b": f"{store}/o",
        "c": f"{store}/o/deep",
        "d": f"{out}1",
        "e": "x",
    }


def test_workers_elsewhere_get_the_uris_themselves(tmp_path: Path) -> None:
    inputs, outputs = {"model": "gs://b/m"}, {"out": "gs://b/o"}
    found = task(
        tmp_path, parameters={"input_base": "gs://b/r"}, inputs=inputs, outputs=outputs, local=False
    )
    found.fetch()
    found.upload()
    assert uri_of(found, "inputs", "model") == "gs://b/m"
    assert uri_of(found, "outputs", "out") == "gs://b/o"
    assert found.message.inputs.parameter_values["input_base"].string_value == "gs://b/r"
