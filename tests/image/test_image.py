"""The Dockerfile: lint, pinned base image, unprivileged user, and what a build copies."""

import json
import re

from tests.image.programs import ROOT, output, tool

TEXT = (ROOT / "image/Dockerfile").read_text()
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line and line[0] != "#"]
RUNTIME = LINES[max(index for index, line in enumerate(LINES) if line.startswith("FROM")) :]


def values(lines: list[str], instruction: str) -> list[str]:
    return [
        re.sub(r"\s+", " ", line.partition(" ")[2]).strip()
        for line in lines
        if line.startswith(f"{instruction} ")
    ]


def test_hadolint() -> None:
    assert output(tool("hadolint"), "image/Dockerfile") == (0, "")


def test_base_image_is_pinned_by_digest() -> None:
    (base,) = [arg for arg in values(LINES, "ARG") if arg.startswith("BASE=")]
    assert re.fullmatch(r"BASE=docker\.io/library/debian:13\.\d+-slim@sha256:[0-9a-f]{64}", base)
    stages = {line.split(" AS ")[1] for line in values(LINES, "FROM")}
    assert {line.split(" ")[0] for line in values(LINES, "FROM")} <= {"${BASE}", "scratch", *stages}


def test_runs_as_a_numeric_unprivileged_user() -> None:
    (user,) = values(RUNTIME, "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    after = RUNTIME[RUNTIME.index(f"USER {user}") :]
    assert not values(after, "RUN") + values(after, "COPY")


def test_runtime_has_no_build_tools() -> None:
    packages = re.findall(r"--no-install-recommends ([\w. -]+?) &&", " ".join(LINES))
    assert packages[0].split() == ["ca-certificates", "python3", "tini"]
    copied = {copy.split()[1] for copy in values(RUNTIME, "COPY") if copy.startswith("--from")}
    assert copied == {"/opt/venv", "/opt/project", "/build/sbom.cdx.json"}


def test_packages_are_installed_from_the_lock_only() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install [^&;]*", " ".join(LINES))
    assert len(installs) == 3
    for install in installs:
        assert "--no-deps" in install
        assert ("--require-hashes" in install) != ("/opt/project ." in install)


def test_copied_files_exist_and_are_in_the_build_context() -> None:
    context = (ROOT / "image/Dockerfile.dockerignore").read_text().splitlines()
    for copy in values(LINES, "COPY"):
        if not copy.startswith("--from"):
            *sources, _ = [part for part in copy.split() if not part.startswith("--")]
            for source in sources:
                for variant in ("cpu", "gpu"):
                    assert (ROOT / source.replace("${VARIANT}", variant)).exists()
                assert f"!{source.replace('${VARIANT}', '*').replace('-sbom', '-*')}" in context


def test_entry_point_healthcheck_and_version() -> None:
    (entry,) = values(RUNTIME, "ENTRYPOINT")
    assert json.loads(entry) == ["/usr/bin/tini", "-g", "--", "pneumo"]
    (health,) = values(RUNTIME, "HEALTHCHECK")
    script = json.loads(health[health.index("[") :])[-1]
    assert script in {copy.split()[-1] for copy in values(RUNTIME, "COPY")}
    (version,) = [arg for arg in values(LINES, "ARG") if arg.startswith("VERSION=")]
    assert f'version="{version.partition("=")[2]}"' in (ROOT / "setup.py").read_text()
