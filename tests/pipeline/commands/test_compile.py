"""`pneumo compile`."""

import json
from pathlib import Path

import pytest
import yaml

from pipeline.kubeflow.compile import require_packages
from pipeline.kubeflow.validate import check
from schema.errors import PneumoError
from tests.support.runs.cli import pneumo

WHERE = ("--image", "registry/pneumo-tfx:1", "--root", "gs://b/runs")


def test_for_kubeflow(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    ran = pneumo(
        "compile",
        "--target",
        "kubeflow",
        "--config",
        "demo",
        "-o",
        file,
        *WHERE,
        "--set",
        "deploy.secret=s",
        "--data",
        "s3://b/records",
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == [
        f"compiled    {file}   16 nodes for kubeflow",
        "parameters  data=s3://b/records  epochs=40  gate_auc=0.6  threshold=0.5  weights=imagenet",
        f"submit      pneumo submit {file} --host http://ADDRESS",
    ]
    spec, platform = yaml.safe_load_all(file.read_text())
    check(spec)
    assert spec["pipelineInfo"]["name"] == "pneumo-demo"
    assert len(platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]) == 16
    assert [path.name for path in tmp_path.iterdir()] == ["demo.yaml"]


def test_for_vertex(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    ran = pneumo("compile", "--target", "vertex", "--config", "demo", "-o", file, *WHERE)
    assert ran.returncode == 0, ran.stderr
    assert b"data (must be given)" in ran.stdout
    job = json.loads(file.read_text())
    check(job["pipelineSpec"])
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://b/runs"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--root", "gs://b/r"], "pneumo: no image: give --image"),
        ([*WHERE, "--set", "deploy.imag=x"], "unknown key deploy.imag"),
        ([*WHERE, "-o", "/no/such/folder/x"], "folder /no/such/folder does not exist; make it"),
    ],
)
def test_what_is_missing_is_one_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    file = tmp_path / "out.yaml"
    ran = pneumo("compile", "--target", "kubeflow", "--config", "demo", "-o", file, *arguments)
    assert ran.returncode == 2
    (message,) = ran.stderr.decode().splitlines()
    assert line in message
    assert not file.exists()


@pytest.mark.parametrize(
    ("python", "line"),
    [((3, 13), "only below Python 3.12, and this is 3.13"), ((3, 11), "kfp is not installed; pip")],
)
def test_without_kfp_is_one_line(
    python: tuple[int, int], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_packages(python)  # it is installed here
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(PneumoError) as raised:
        require_packages(python)
    assert line in str(raised.value)
