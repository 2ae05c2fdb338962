"""What image/Dockerfile promises."""

import re
import runpy
import subprocess
from typing import Any

import pytest
import setuptools

from image.dockerfile import Instruction, Stage, ignore_patterns, ignored, stages
from tests.image.tools import ROOT, output, tool

TEXT = (ROOT / "image/Dockerfile").read_text()
STAGES = stages(TEXT)
RUNTIME = next(stage for stage in STAGES if stage.name == "runtime")
IGNORE = ignore_patterns((ROOT / "image/Dockerfile.dockerignore").read_text())


def of(stage: Stage, name: str) -> list[Instruction]:
    return [one for one in stage.instructions if one.name == name]


def context() -> list[str]:
    """The files of the repository that a build sees."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return [path for path in listed.stdout.splitlines() if not ignored(path, IGNORE)]


def test_hadolint_has_nothing_to_say() -> None:
    assert output(tool("hadolint"), "image/Dockerfile") == (0, "")


def test_it_ends_as_a_user_without_rights() -> None:
    assert STAGES[-1] is RUNTIME, "what is built without --target is what runs"
    user = of(RUNTIME, "USER")
    assert len(user) == 1
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user[0].value), "a number, and not root's"
    after = RUNTIME.instructions[RUNTIME.instructions.index(user[0]) :]
    assert not [one for one in after if one.name in ("RUN", "COPY")]


def test_the_base_is_pinned() -> None:
    bases = {stage.base for stage in STAGES} - {stage.name for stage in STAGES} - {"scratch"}
    assert len(bases) == 1
    assert re.fullmatch(r"debian:13\.\d+-slim@sha256:[0-9a-f]{64}", bases.pop())
    assert "latest" not in TEXT


def test_every_argument_is_used() -> None:
    head = TEXT[: TEXT.index("\nFROM")]
    for name in re.findall(r"(?m)^ARG (\w+)", head):
        assert re.search(rf"(?m)^FROM.*\$\{{{name}\}}|^ARG {name}$", TEXT), name
    for stage in STAGES:
        for at, one in enumerate(stage.instructions):
            if one.name == "ARG":
                name = one.value.partition("=")[0]
                later = " ".join(other.value for other in stage.instructions[at + 1 :])
                assert name == "DEBIAN_FRONTEND" or f"${{{name}}}" in later, (stage.name, name)


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    files = context()
    for stage in STAGES:
        for one in of(stage, "COPY"):
            if "from" in one.flags:
                assert one.flags["from"] in {other.name for other in STAGES}
                continue
            *names, _ = one.words()
            for name in names:
                for variant in ("cpu", "gpu"):
                    path = name.replace("${VARIANT}", variant)
                    assert [file for file in files if file == path or file.startswith(path + "/")]
    tops = {file.partition("/")[0] for file in files}
    assert tops == {
        "setup.py", "pyproject.toml", "schema", "components", "serving", "pipeline", "image",
        "requirements",
    }  # fmt: skip


def test_what_runs_holds_no_tools_to_build_with() -> None:
    wanted: set[str] = set()
    for stage in (STAGES[0], RUNTIME):
        for one in of(stage, "RUN"):
            for listed in re.findall(r"--no-install-recommends ([^&;]*)", one.value):
                wanted |= set(listed.split())
    assert wanted == {"ca-certificates", "python3", "tini"}
    copied = {one.words()[0] for one in of(RUNTIME, "COPY") if "from" in one.flags}
    assert copied == {"/opt/venv", "/opt/project", "/build/sbom.cdx.json"}


def test_pip_installs_what_is_locked_and_nothing_else() -> None:
    found = re.findall(r"pip (?:--python \S+ )?install [^&;]*", re.sub(r"\\\n\s*", " ", TEXT))
    assert len(found) == 3
    for one in found:
        own = "/opt/project ." in one
        assert "--no-deps" in one
        assert ("--require-hashes" in one) != own, one
        assert "--no-build-isolation" in one or "sbom" in one, "a build would fetch unlocked tools"


def test_how_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    captured: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", captured.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    scripts = [line.partition("=")[0].strip()
               for line in captured["entry_points"]["console_scripts"]]  # fmt: skip
    (entry,) = of(RUNTIME, "ENTRYPOINT")
    assert entry.words()[0] == "/usr/bin/tini", "a first process has to pass signals on"
    assert entry.words()[-1] in scripts
    (env,) = of(RUNTIME, "ENV")
    assert env.pairs()["PATH"].split(":")[:2] == ["/opt/project/bin", "/opt/venv/bin"]
    assert of(RUNTIME, "CMD")[0].words() == ["--help"]


def test_health_is_asked_of_the_script_that_is_copied() -> None:
    (health,) = of(RUNTIME, "HEALTHCHECK")
    script = health.value.partition("CMD")[2].strip().strip("[]").split(", ")[-1].strip('"')
    assert script in {one.words()[-1] for one in of(RUNTIME, "COPY")}


def test_labels_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    (label,) = of(RUNTIME, "LABEL")
    prefix = "org.opencontainers.image."
    assert {"title", "description", "licenses", "version", "revision"} <= {
        name.removeprefix(prefix) for name in label.pairs()
    }
    assert "not a medical device" in label.pairs()[prefix + "description"].lower()
    setup = (ROOT / "setup.py").read_text()
    (version,) = re.findall(r"(?m)^ARG VERSION=(.+)$", TEXT)
    assert f'version="{version}"' in setup
