"""The workflows: their schema, what they may do, and that what they call exists."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pipeline.cli import pneumo
from tests.image.tools import ROOT, output, tool

FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))
LOADED = {path.name: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(file, name, job) for file, one in LOADED.items() for name, job in one["jobs"].items()]
# Every right beyond reading, and the only job that has it.
RIGHTS = {("release.yaml", "publish"): {"packages"}, ("release.yaml", "submit"): {"id-token"}}


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job.get("steps", ()))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every line of every `run`, continuation lines joined, as words."""
    for file, _, job in JOBS:
        for step in steps(job):
            for line in step.get("run", "").replace("\\\n", " ").splitlines():
                yield file, shlex.split(line)


def test_there_are_workflows() -> None:
    assert set(LOADED) == {"ci.yaml", "release.yaml"}


def test_schemas() -> None:
    paths = [str(path) for path in FILES]
    check = tool("check-jsonschema")
    assert output(check, "--builtin-schema", "vendor.github-workflows", *paths)[0] == 0
    found = output(check, "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    assert found[0] == 0, found[1]


def test_zizmor_finds_no_hole() -> None:
    code, said = output(tool("zizmor"), "--offline", "--quiet", "--no-progress", ".github")
    assert code == 0, said


@pytest.mark.parametrize(("file", "name", "job"), JOBS)
def test_a_job_has_least_rights_and_an_end(file: str, name: str, job: dict[str, Any]) -> None:
    written = {right for right, what in job["permissions"].items() if what != "read"}
    assert written == RIGHTS.get((file, name), set())
    assert LOADED[file]["permissions"] == {}
    if "uses" not in job:
        assert 0 < job["timeout-minutes"] <= 150


def test_who_may_submit_is_protected() -> None:
    job = LOADED["release.yaml"]["jobs"]["submit"]
    assert job["environment"] == "production"
    assert "secrets." not in str(job), "the cloud is asked by identity, not by key"
    # `on` is a boolean to YAML 1.1.
    assert LOADED["release.yaml"][True] == {"push": {"tags": ["v[0-9]*.[0-9]*.[0-9]*"]}}


def test_actions_are_pinned_by_commit_and_images_by_digest() -> None:
    count = 0
    for path in FILES:
        for line in path.read_text().splitlines():
            if (used := re.search(r"uses: (\S+)(.*)", line)) and not used[1].startswith("./"):
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used[1]), line
                assert re.fullmatch(r" # v\d+\.\d+\.\d+", used[2]), line
                count += 1
    assert count > 10
    images = [
        row["image"] for row in LOADED["ci.yaml"]["jobs"]["test"]["strategy"]["matrix"]["include"]
    ]
    assert all(re.fullmatch(r"debian:1[23]\.\d+-slim@sha256:[0-9a-f]{64}", one) for one in images)
    base = re.search(r"(?m)^ARG BASE=(\S+)$", (ROOT / "image/Dockerfile").read_text())
    assert base is not None
    assert base[1] in images, "the tests run on what the image is made of"


def test_nothing_from_outside_is_put_into_a_script() -> None:
    scripts = [step["run"] for _, _, job in JOBS for step in steps(job) if "run" in step]
    assert len(scripts) > 8
    assert not [script for script in scripts if "${{" in script]
    checkouts = [step for _, _, job in JOBS for step in steps(job)
                 if step.get("uses", "").startswith("actions/checkout")]  # fmt: skip
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_registry_is_a_setting() -> None:
    publish = str(LOADED["release.yaml"]["jobs"]["publish"])
    assert "'registry': '${{ vars.REGISTRY }}'" in publish
    assert "'tags': '${{ vars.IMAGE }}:" in publish


def test_what_is_called_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    seen = set()
    for file, words in commands():
        if words[:1] == ["make"]:
            assert re.search(rf"(?m)^{words[1]}:", makefile), (file, words)
        if words[:1] == [".ci/run"]:
            assert (ROOT / ".ci/run").exists()
        if words[:1] == [".venv/bin/pneumo"]:
            found = pneumo.get_command(None, words[1])  # type: ignore[arg-type]
            assert found is not None, (file, words)
            known = {name for parameter in found.params for name in parameter.opts}
            assert {word for word in words if word.startswith("-")} <= known, (file, words)
            required = {parameter.name for parameter in found.params if parameter.required}
            assert required <= _given(words, found), (file, words)
        seen.add(" ".join(words[:2]))
    assert {"make lint", ".venv/bin/pneumo compile", ".venv/bin/pneumo submit"} <= seen


def _given(words: list[str], command: Any) -> set[str]:
    """The parameters of a click command that a line gives."""
    given = {one.name for one in command.params if set(one.opts) & set(words)}
    if not words[2].startswith("-"):
        given |= {one.name for one in command.params if one.param_type_name == "argument"}
    return given
