"""The CI workflows: schema, pinned actions, permissions, and that the commands in them exist."""

import re
import shlex
from typing import Any

import pytest
import yaml

from pipeline.cli import pneumo
from tests.image.programs import ROOT, output, tool

FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))
LOADED = {path.name: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(file, name, job) for file, one in LOADED.items() for name, job in one["jobs"].items()]
STEPS = [step for _, _, job in JOBS for step in job.get("steps", ())]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
# Every permission beyond reading, and the only job that has it.
WRITES = {("release.yaml", "publish"): {"packages"}, ("release.yaml", "submit"): {"id-token"}}


def test_schemas() -> None:
    check = tool("check-jsonschema")
    paths = [str(path) for path in FILES]
    assert output(check, "--builtin-schema", "vendor.github-workflows", *paths)[0] == 0
    dependabot = output(check, "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    assert dependabot[0] == 0, dependabot[1]


def test_zizmor() -> None:
    status, text = output(tool("zizmor"), "--offline", "--quiet", "--no-progress", ".github")
    assert status == 0, text


@pytest.mark.parametrize(("file", "name", "job"), JOBS)
def test_jobs_have_least_permissions_and_a_timeout(
    file: str, name: str, job: dict[str, Any]
) -> None:
    written = {right for right, level in job["permissions"].items() if level != "read"}
    assert written == WRITES.get((file, name), set())
    assert LOADED[file]["permissions"] == {}
    assert "uses" in job or 0 < job["timeout-minutes"] <= 150
    assert name != "submit" or job["environment"] == "production"


def test_actions_are_pinned_by_commit_and_images_by_digest() -> None:
    for path in FILES:
        for action, version in re.findall(r"uses: (\S+)(.*)", path.read_text()):
            if not action.startswith("./"):
                assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
                assert re.fullmatch(r" # v\d+\.\d+\.\d+", version)
    matrix = LOADED["ci.yaml"]["jobs"]["test"]["strategy"]["matrix"]["include"]
    images = [row["image"] for row in matrix]
    assert all(re.fullmatch(r"debian:1[23]\.\d+-slim@sha256:[0-9a-f]{64}", one) for one in images)
    dockerfile = (ROOT / "image/Dockerfile").read_text()
    base = re.search(r"(?m)^ARG BASE=docker\.io/library/(\S+)$", dockerfile)
    assert base is not None
    assert base[1] in images, "the tests run on the base of the image"


def test_no_expression_is_expanded_in_a_script() -> None:
    assert SCRIPTS
    assert not [script for script in SCRIPTS if "${{" in script]


def test_commands_in_scripts_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    seen = set()
    for script in SCRIPTS:
        for line in script.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            seen.add(" ".join(words[:2]))
            if words[:1] == ["make"]:
                assert re.search(rf"(?m)^{words[1]}:", makefile), line
            if words[:1] == [".venv/bin/pneumo"]:
                command = pneumo.get_command(None, words[1])  # type: ignore[arg-type]
                assert command is not None, line
                known = {name for parameter in command.params for name in parameter.opts}
                assert {word for word in words if word.startswith("-")} <= known, line
                required = [one for one in command.params if one.required]
                options = [one for one in required if one.param_type_name == "option"]
                assert all(set(one.opts) & set(words) for one in options), line
    assert {"make lint", ".venv/bin/pneumo compile", ".venv/bin/pneumo submit"} <= seen
    assert (ROOT / ".ci/run").exists()
