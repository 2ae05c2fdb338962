import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config
from pipeline.kubeflow.options import Target
from pipeline.kubeflow.ready import as_text, need, write
from pipeline.kubeflow.submit import Where, parameter_values, read, shown
from schema.errors import PneumoError
from tests.pipeline.kubeflow.compiled import config_of, job_of, spec_of


def written(folder: Path, target: Target, *overrides: str) -> Path:
    file = folder / f"graph.{target}"
    write(file, as_text(job_of("demo", *overrides, target=target), target))
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
        ("", "is no compiled pipeline"),
        ("a: [", "is not YAML"),
        ("name: demo\n", "is no compiled pipeline"),
        ("[1, 2]", "is no compiled pipeline"),
        ("pipelineInfo: {name: x}\nroot: {}\n", "not a PipelineSpec"),
        ('{"pipelineSpec": 3}', "is no compiled pipeline"),
    ],
)
def test_what_is_no_graph_is_one_line(content: str | None, line: str, tmp_path: Path) -> None:
    file = tmp_path / "graph"
    if content is not None:
        file.write_text(content)
    with pytest.raises(PneumoError, match=line) as told:
        read(file)
    assert str(file) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_graph_for_the_other_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="compiled for vertex, not for kubeflow"):
        read(written(tmp_path, "vertex"), "kubeflow")


def test_values_have_their_types() -> None:
    given = ["epochs=5", "threshold=0.25", "data=s3://b/r=1", "weights=random"]
    values = parameter_values(spec_of("demo"), given)
    assert values == {"epochs": 5, "threshold": 0.25, "data": "s3://b/r=1", "weights": "random"}
    assert [type(values[name]) for name in ("epochs", "threshold")] == [int, float]
    assert parameter_values(spec_of("demo"), []) == {}
    assert parameter_values(spec_of("demo"), ["epochs=1", "epochs=2"]) == {"epochs": 2}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("epochs", "--param takes name=value"),
        ("epoch=5", "no such input; it has data, epochs"),
        ("epochs=0", "parameter epochs='0'"),
        ("epochs=x", "parameter epochs='x'"),
        ("threshold=2", "parameter threshold='2'"),
        ("fine_tune_epochs=2", "no such input"),
    ],
)
def test_wrong_values_are_one_line(given: str, line: str) -> None:
    with pytest.raises(PneumoError) as told:
        parameter_values(spec_of("demo"), [given])
    assert line in str(told.value)
    assert "\n" not in str(told.value)


def test_data_must_be_given_where_the_graph_names_none() -> None:
    spec = spec_of("demo", "deploy.data=null")
    with pytest.raises(PneumoError, match="input data has no value: give --param data="):
        parameter_values(spec, [])
    assert parameter_values(spec, ["data=gs://b/r"]) == {"data": "gs://b/r"}


@pytest.mark.parametrize(
    ("kind", "value", "wanted"), [("NUMBER_INTEGER", "3", 3), ("NUMBER_INTEGER", "x", None),
                                  ("STRING", "x", "x"), ("STRUCT", "{}", None)],
)  # fmt: skip
def test_inputs_of_other_graphs(kind: str, value: str, wanted: Any) -> None:
    spec: dict[str, Any] = {
        "root": {"inputDefinitions": {"parameters": {"other": {"parameterType": kind}}}}
    }
    if wanted is None:
        with pytest.raises(PneumoError, match=f"of type {kind}"):
            parameter_values(spec, [f"other={value}"])
    else:
        assert parameter_values(spec, [f"other={value}"]) == {"other": wanted}


def test_shown_is_all_that_is_sent(tmp_path: Path) -> None:
    compiled = read(written(tmp_path, "vertex", "deploy.retries=1"))
    where = Where(project="p", region="r", token="secret-token", experiment="e")
    text = shown(compiled, where, {"epochs": 2})
    told = json.loads(text)
    assert told["to"] == {"project": "p", "region": "r"}
    assert told["given"] == {"epochs": 2}
    assert told["parameters"]["epochs"] == 2
    assert told["parameters"]["data"] == "gs://bucket/records"
    assert told["nodes"]["Trainer"]["retries"] == 1
    assert told["nodes"]["Trainer"]["resources"]["cpuLimit"] == 8
    assert told["nodes"]["Pusher"]["cached"] is False
    assert "secret-token" not in text


READY = {"image": "i", "root": "gs://b/r"}


@pytest.mark.parametrize(
    ("target", "deploy", "weights", "line"),
    [
        ("kubeflow", {"root": "gs://b/r"}, "random", "no image: give --image"),
        ("kubeflow", {"image": "i"}, "random", "no root for the artifacts: give --root"),
        ("kubeflow", {"image": "i", "root": "/here"}, "random", "deploy.root: /here is a place"),
        ("kubeflow", {"image": "i", "root": "hdfs://x"}, "random", "is of another kind"),
        ("kubeflow", {**READY, "data": "records"}, "random", "deploy.data: records"),
        ("kubeflow", {**READY, "push_to": "/srv"}, "random", "deploy.push_to: /srv"),
        ("kubeflow", {**READY, "checkpoints": "c"}, "random", "deploy.checkpoints: c"),
        ("kubeflow", READY, "/w.h5", "model.weights: /w.h5"),
        ("vertex", {"image": "i", "root": "s3://b/r"}, "random", "gs:// alone"),
        ("vertex", {**READY, "secret": "s"}, "random", "deploy.secret is of kubeflow"),
    ],
)
def test_what_is_missing_is_one_line(
    target: Target, deploy: dict[str, str], weights: str, line: str
) -> None:
    config = Config.model_validate(
        {"name": "demo", "deploy": deploy, "model": {"weights": weights}}
    )
    with pytest.raises(PneumoError) as told:
        need(config, target)
    assert line in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("weights", ["imagenet", "random", "s3://b/w.h5"])
@pytest.mark.parametrize("root", ["gs://b/r", "s3://b/r", "minio://b/r"])
def test_what_is_enough(weights: str, root: str) -> None:
    config = config_of("demo", "deploy.image=i", f"deploy.root={root}", f"model.weights={weights}")
    assert need(config, "kubeflow") == ("i", root)


def test_the_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write(tmp_path / "a", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(PneumoError, match="does not exist; make it first"):
        write(tmp_path / "no" / "a", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(PneumoError, match="cannot be written"):
        write(tmp_path / "folder", "text")
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
