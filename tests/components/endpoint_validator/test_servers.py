"""Which server validates a candidate, and what a failed start means."""

import os
from pathlib import Path
from typing import Any

import pytest

from components.endpoint_validator import servers
from components.endpoint_validator.component import validate
from schema.errors import PneumoError
from serving.server.engines import ENGINES, IMAGE
from tests.components.endpoint_validator.scored import Scored

_, BINARY, _, BUILT_IN = ENGINES
UNRESOLVED = 'case "$1" in run) echo "Error: short-name did not resolve" >&2; exit 125;; esac'
LOAD_FAILED = 'echo "Loading servable: {name: pneumo version: 1} failed: Not found"; exec sleep 60'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Scripts in place of the servers and container engines that this machine may have."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(**scripts: str) -> None:
        for name in ("tensorflow_model_server", "docker", "podman"):
            program = folder / name
            program.write_text(f"#!/bin/sh\n{scripts.get(name, 'exit 1')}\n")
            program.chmod(0o755)

    write()
    return write


@pytest.mark.parametrize(
    ("how", "scripts", "engines"),
    [
        ("auto", {}, [BINARY, BUILT_IN, "savedmodel"]),
        ("endpoint", {}, [BINARY, BUILT_IN]),
        ("auto", {"podman": ""}, [BINARY, "container", BUILT_IN, "savedmodel"]),
        ("docker", {}, ["container"]),
        ("savedmodel", {"docker": ""}, ["savedmodel"]),
    ],
)
def test_engines(how: str, scripts: dict[str, str], engines: list[str], programs: Any) -> None:
    programs(**scripts)
    assert servers.engines(how, IMAGE) == engines


def test_the_next_engine_is_tried_where_none_comes_up(
    programs: Any, small_model: Path, scored: Scored
) -> None:
    programs(docker=UNRESOLVED)
    result = validate(
        "auto", IMAGE, small_model / "1", scored.expected, scored.contents, scored.facts
    )
    assert result["how"] == BUILT_IN
    assert result["reasons"] == []
    assert list(result["not_started"]) == [BINARY, "container"]
    assert "short-name did not resolve" in result["not_started"]["container"]


def test_no_server_is_an_error_of_the_infrastructure(
    programs: Any, small_model: Path, scored: Scored
) -> None:
    programs(docker=UNRESOLVED)
    with pytest.raises(PneumoError, match=r"no server could be started \(container: .*short-name"):
        validate("docker", IMAGE, small_model / "1", scored.expected, scored.contents, scored.facts)


def test_a_model_that_tensorflow_serving_cannot_load_is_not_blessed(
    programs: Any, small_model: Path, scored: Scored
) -> None:
    programs(tensorflow_model_server=LOAD_FAILED)
    result = validate(
        "auto", IMAGE, small_model / "1", scored.expected, scored.contents, scored.facts
    )
    assert result["how"] == BINARY
    assert "Loading servable" in result["reasons"][0]
