import json
from pathlib import Path

import pytest

from pipeline.config import Config
from pipeline.kubeflow.compile import as_text
from pipeline.kubeflow.compiled_pipeline import parameter_values, read, summary
from pipeline.kubeflow.options import DeployOptions, Target
from pipeline.kubeflow.validate import check_deploy
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import config_of, job_of, spec_of

INPUTS = {name: {"defaultValue": 1} for name in ("data", "epochs", "threshold", "weights")}


def written(folder: Path, target: Target, *overrides: str) -> Path:
    file = folder / f"graph.{target}"
    file.write_text(as_text(job_of("demo", *overrides, target=target), target))
    return file


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_what_was_written_is_read(target: Target, tmp_path: Path) -> None:
    compiled = read(written(tmp_path, target), target)
    assert compiled.spec == spec_of("demo", target=target)
    assert (compiled.target, compiled.name) == (target, "pneumo-demo")
    assert compiled.root == "gs://bucket/runs"
    assert read(compiled.file) == compiled


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "cannot be read"),
        ("", "is not a compiled pipeline"),
        ("a: [", "is not YAML"),
        ("name: demo\n", "is not a compiled pipeline"),
        ("[1, 2]", "is not a compiled pipeline"),
        ("pipelineInfo: {name: x}\nroot: {}\n", "not a PipelineSpec"),
        ('{"pipelineSpec": 3}', "is not a compiled pipeline"),
    ],
)
def test_what_is_no_graph_is_one_line(content: str | None, line: str, tmp_path: Path) -> None:
    file = tmp_path / "graph"
    if content is not None:
        file.write_text(content)
    with pytest.raises(PneumoError, match=line) as raised:
        read(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_graph_for_the_other_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="compiled for vertex, not for kubeflow"):
        read(written(tmp_path, "vertex"), "kubeflow")


def test_values_have_their_types() -> None:
    given = ["epochs=5", "threshold=0.25", "data=s3://b/r=1", "weights=random"]
    values = parameter_values(INPUTS, given)
    assert values == {"epochs": 5, "threshold": 0.25, "data": "s3://b/r=1", "weights": "random"}
    assert [type(values[name]) for name in ("epochs", "threshold")] == [int, float]
    assert parameter_values(INPUTS, []) == {}
    assert parameter_values(INPUTS, ["epochs=1", "epochs=2"]) == {"epochs": 2}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("epochs", "--param takes name=value"),
        ("epoch=5", "no such parameter; it has data, epochs"),
        ("epochs=0", "parameter epochs='0'"),
        ("epochs=x", "parameter epochs='x'"),
        ("threshold=2", "parameter threshold='2'"),
        ("fine_tune_epochs=2", "no such parameter"),
    ],
)
def test_wrong_values_are_one_line(given: str, line: str) -> None:
    with pytest.raises(PneumoError) as raised:
        parameter_values(INPUTS, [given])
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_data_must_be_given_where_the_graph_names_none() -> None:
    inputs = {**INPUTS, "data": {"parameterType": "STRING"}}
    with pytest.raises(PneumoError, match="parameter data has no value: set it with --param data="):
        parameter_values(inputs, [])
    assert parameter_values(inputs, ["data=gs://b/r"]) == {"data": "gs://b/r"}


def test_the_summary_is_all_that_is_sent(tmp_path: Path) -> None:
    compiled = read(written(tmp_path, "vertex", "deploy.retries=1"))
    deploy = DeployOptions(project="p", region="r", host="http://h", experiment="e")
    printed = json.loads(summary(compiled, deploy, {"epochs": 2}))
    assert printed["to"] == {"project": "p", "region": "r"}
    assert printed["given"] == {"epochs": 2}
    assert printed["parameters"]["epochs"] == 2
    assert printed["parameters"]["data"] == "gs://bucket/records"
    assert printed["nodes"]["Trainer"]["retries"] == 1
    assert printed["nodes"]["Trainer"]["resources"]["cpuLimit"] == 8
    assert printed["nodes"]["Pusher"]["cached"] is False


READY = {"image": "i", "root": "gs://b/r"}


@pytest.mark.parametrize(
    ("target", "deploy", "weights", "line"),
    [
        ("kubeflow", {"root": "gs://b/r"}, "random", "no image: give --image"),
        ("kubeflow", {"image": "i"}, "random", "no root for the artifacts: give --root"),
        (
            "kubeflow",
            {"image": "i", "root": "/here"},
            "random",
            "deploy.root: /here is a local path",
        ),
        ("kubeflow", {"image": "i", "root": "hdfs://x"}, "random", "has an unsupported scheme"),
        ("kubeflow", {**READY, "data": "records"}, "random", "deploy.data: records"),
        ("kubeflow", {**READY, "push_to": "/srv"}, "random", "deploy.push_to: /srv"),
        ("kubeflow", {**READY, "checkpoints": "c"}, "random", "deploy.checkpoints: c"),
        ("kubeflow", READY, "/w.h5", "model.weights: /w.h5"),
        ("vertex", {"image": "i", "root": "s3://b/r"}, "random", "supports only gs://"),
        ("vertex", {**READY, "secret": "s"}, "random", "deploy.secret is for kubeflow only"),
    ],
)
def test_what_is_missing_is_one_line(
    target: Target, deploy: dict[str, str], weights: str, line: str
) -> None:
    config = Config.model_validate(
        {"name": "demo", "deploy": deploy, "model": {"weights": weights}}
    )
    with pytest.raises(PneumoError) as raised:
        check_deploy(config, target)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("weights", ["imagenet", "random", "s3://b/w.h5"])
@pytest.mark.parametrize("root", ["gs://b/r", "s3://b/r", "minio://b/r"])
def test_what_is_enough(weights: str, root: str) -> None:
    config = config_of("demo", "deploy.image=i", f"deploy.root={root}", f"model.weights={weights}")
    assert check_deploy(config, "kubeflow") == ("i", root)
