import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.serve import note
from schema.errors import PneumoError
from serving.server.engines import ENGINES, choose, command
from serving.server.options import Options

BINARY = "tensorflow_model_server"


@pytest.mark.parametrize(
    "wanted, there, works, expected",
    [
        ("auto", [BINARY, "docker"], True, (BINARY, f"/bin/{BINARY}")),
        ("auto", ["docker"], True, ("container", "/bin/docker")),
        ("auto", ["podman"], True, ("container", "/bin/podman")),
        ("auto", ["docker"], False, ("ray", "")),
        ("auto", [], True, ("ray", "")),
        ("ray", [BINARY, "docker"], True, ("ray", "")),
        ("container", [BINARY, "podman"], True, ("container", "/bin/podman")),
        (BINARY, [BINARY], False, (BINARY, f"/bin/{BINARY}")),
        (BINARY, ["docker"], True, None),
        ("container", [BINARY, "docker"], False, None),
    ],
)
def test_choose(
    wanted: str, there: list[str], works: bool, expected: tuple[str, str] | None
) -> None:
    def which(name: str) -> str | None:
        return f"/bin/{name}" if name in there else None

    if expected is None:
        with pytest.raises(PneumoError, match="--engine auto"):
            choose(wanted, which, lambda _: works)
    else:
        assert choose(wanted, which, lambda _: works) == expected
        assert expected[0] in ENGINES


def test_the_container_keeps_to_the_host_and_reads_only(tmp_path: Path) -> None:
    line = command("container", "/bin/docker", Options(tmp_path, name="lungs", rest_port=9000))
    assert "--publish=127.0.0.1:9000:8501" in line
    assert "--publish=127.0.0.1:8500:8500" in line
    assert f"--volume={tmp_path}:/models/lungs:ro" in line
    assert "--env=MODEL_NAME=lungs" in line
    assert "--read-only" in line


def test_tensorflow_serving_on_the_path_takes_over(tmp_path: Path) -> None:
    """By the command itself, with a stand-in that tells what it was called with."""
    program = tmp_path / BINARY
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "serve", "--model-dir", tmp_path, "--name", "a"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}",
             "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    said, *arguments = done.stdout.splitlines()
    assert said == f"pneumo serve: {note(BINARY, '127.0.0.1', ui=False)}"
    assert "not a medical device" in said
    assert {"--port=8500", "--rest_api_port=8501", "--model_name=a",
            f"--model_base_path={tmp_path}"} <= set(arguments)  # fmt: skip
