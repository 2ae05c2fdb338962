"""`pneumo compile` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.kubeflow.compile import need_packages
from pipeline.kubeflow.validate import check
from schema.errors import PneumoError


def compile_(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "compile", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


WHERE = ("--image", "registry/pneumo-tfx:1", "--root", "gs://b/runs")


def test_for_kubeflow(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    ran = compile_(
        "--target", "kubeflow", "--config", "demo", "-o", file, *WHERE, "--set", "deploy.secret=s",
        "--data", "s3://b/records",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
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
    ran = compile_("--target", "vertex", "--config", "demo", "-o", file, *WHERE)
    assert ran.returncode == 0, ran.stderr
    assert "data (must be given)" in ran.stdout
    job = json.loads(file.read_text())
    check(job["pipelineSpec"])
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://b/runs"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--root", "gs://b/r"], "pneumo: no image: give --image"),
        (["--image", "i"], "pneumo: no root for the artifacts: give --root"),
        ([*WHERE, "--data", "records"], "pneumo: deploy.data: records is a place on this machine"),
        ([*WHERE, "--set", "deploy.retries=x"], "deploy.retries: "),
        ([*WHERE, "--set", "deploy.imag=x"], "unknown key deploy.imag"),
    ],
)
def test_what_is_missing_is_one_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    file = tmp_path / "out.yaml"
    ran = compile_("--target", "kubeflow", "--config", "demo", "-o", file, *arguments)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert line in ran.stderr
    assert not file.exists()


WITHOUT_KFP = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "kfp" else real(name, *more)
"""


def test_without_kfp_is_one_line(tmp_path: Path) -> None:
    """A finder that does not find it, as where it is not installed."""
    code = f"""{WITHOUT_KFP}
from pipeline.cli import main
main(["compile", "--target", "kubeflow", "--config", "demo", "-o", {str(tmp_path / "x")!r},
      "--image", "i", "--root", "gs://b/r"])
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 2, ran.stderr
    assert "package kfp is not installed; pip install" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_an_interpreter_that_has_no_kfp(monkeypatch: pytest.MonkeyPatch) -> None:
    need_packages((3, 13))  # it is installed here
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(PneumoError, match=r"only below Python 3\.12, and this is 3\.13"):
        need_packages((3, 13))
    with pytest.raises(PneumoError, match="not installed"):
        need_packages((3, 11))
