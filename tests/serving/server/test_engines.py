import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.commands.serve import command, note
from schema.errors import PneumoError
from serving.server import engines
from serving.server.options import ServerOptions

BINARY = "tensorflow_model_server"
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "engine, installed, works, expected",
    [
        ("auto", [BINARY, "docker"], True, ("tf-serving", f"/bin/{BINARY}")),
        ("auto", ["docker"], True, ("container", "/bin/docker")),
        ("auto", ["podman"], True, ("container", "/bin/podman")),
        ("auto", ["docker"], False, ("builtin", "")),
        ("auto", [], True, ("builtin", "")),
        ("builtin", [BINARY, "docker"], True, ("builtin", "")),
        ("container", [BINARY, "podman"], True, ("container", "/bin/podman")),
        ("tf-serving", [BINARY], False, ("tf-serving", f"/bin/{BINARY}")),
        ("tf-serving", ["docker"], True, None),
        ("container", [BINARY, "docker"], False, None),
    ],
)
def test_choose(
    engine: str, installed: list[str], works: bool, expected: tuple[str, str] | None
) -> None:
    def which(name: str) -> str | None:
        return f"/bin/{name}" if name in installed else None

    notices: list[str] = []

    def choose() -> tuple[str, str]:
        error = "" if works else "no such host"
        return engines.choose(engine, "IMAGE", which, lambda *_: error, notices.append)

    if expected is None:
        with pytest.raises(PneumoError, match="--engine auto"):
            choose()
    else:
        assert choose() == expected
        assert expected[0] in engines.ENGINES
    if "docker" in installed and not works:
        assert notices == ["docker cannot run IMAGE: no such host"]


def test_run_error(tmp_path: Path) -> None:
    program = tmp_path / "podman"
    program.write_text(
        '#!/bin/sh\necho "$@" > $0.arguments\necho one >&2\necho why >&2\nexit 125\n'
    )
    program.chmod(0o755)
    assert engines.run_error(str(program), "IMAGE") == "why"
    arguments = (tmp_path / "podman.arguments").read_text().split()
    assert arguments == ["run", "--rm", "IMAGE", "--version"]
    program.write_text(
        "#!/bin/sh\necho no daemon >&2\necho >&2\necho \"Run 'docker run --help'\" >&2\nexit 125\n"
    )
    assert engines.run_error(str(program), "IMAGE") == "no daemon"
    program.write_text("#!/bin/sh\nexit 0\n")
    assert engines.run_error(str(program), "IMAGE") == ""


@pytest.mark.parametrize(
    "image, expected",
    [
        ("tensorflow/serving:2.19.1", engines.IMAGE),
        ("serving", "docker.io/library/serving"),
        ("a@sha256:00", "docker.io/library/a@sha256:00"),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
        ("registry:5000/a", "registry:5000/a"),
        ("localhost/a", "localhost/a"),
        (engines.IMAGE, engines.IMAGE),
    ],
)
def test_full_name(image: str, expected: str) -> None:
    assert engines.full_name(image) == expected


@pytest.mark.parametrize("folder", ["serving", "components", "pipeline", "image", "docs"])
def test_no_file_has_a_short_name_of_the_image(folder: str) -> None:
    suffixes = {".py", ".yaml", ".yml", ".md", ".sh"}
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in suffixes or path.name == "Dockerfile":
            text = path.read_text().replace("docker.io/tensorflow/serving", "")
            assert "tensorflow/serving:" not in text, path


def test_container_is_read_only_and_binds_to_the_host(tmp_path: Path) -> None:
    options = ServerOptions(tmp_path, name="lungs", rest_port=9000)
    line = engines.command("container", "/bin/docker", options)
    assert "--publish=127.0.0.1:9000:8501" in line
    assert "--publish=127.0.0.1:8500:8500" in line
    assert f"--volume={tmp_path}:/models/lungs:ro" in line
    assert "--env=MODEL_NAME=lungs" in line
    assert "--read-only" in line


def test_tensorflow_serving_on_the_path_is_executed(tmp_path: Path) -> None:
    """Runs `pneumo serve` with a fake server that prints its arguments."""
    program = tmp_path / BINARY
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "serve", "--model-dir", tmp_path, "--name", "a"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
    )
    first, *arguments = done.stdout.splitlines()
    assert first == f"pneumo serve: {note('tf-serving', '127.0.0.1')}"
    assert "not a medical device" in first
    expected = {"--port=8500", "--rest_api_port=8501", "--model_name=a"}
    assert expected | {f"--model_base_path={tmp_path}"} <= set(arguments)


BUILTIN_ONLY = [
    ["--ui"],
    ["--log-inputs", "inputs.jsonl"],
    ["--log-embeddings", "0.1"],
    ["--version-policy", "all"],
    ["--max-requests", "4"],
]


@pytest.mark.parametrize("option", BUILTIN_ONLY)
def test_options_of_the_builtin_server_select_it(
    tmp_path: Path, option: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[ServerOptions] = []
    monkeypatch.setattr("serving.server.run.serve", served.append)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("another engine was started"))
    (tmp_path / BINARY).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(command, ["--model-dir", str(tmp_path), *option])
    assert result.exit_code == 0, result.output
    assert [one.model_dir for one in served] == [tmp_path]


@pytest.mark.parametrize("option", BUILTIN_ONLY)
@pytest.mark.parametrize("engine", ["tf-serving", "container"])
def test_options_of_the_builtin_server_are_errors_with_another_engine(
    tmp_path: Path, option: list[str], engine: str
) -> None:
    arguments = ["--model-dir", str(tmp_path), "--engine", engine, *option]
    error = CliRunner().invoke(command, arguments).exception
    assert isinstance(error, PneumoError)
    remedy = f"use --engine builtin instead of {engine}"
    assert str(error) == f"{option[0]} needs the built-in server; {remedy}"


def test_tensorflow_serving_cannot_read_a_folder_whose_path_is_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "m [a]"
    folder.mkdir()
    arguments = ["--model-dir", str(folder), "--engine", "tf-serving"]
    error = CliRunner().invoke(command, arguments).exception
    assert isinstance(error, PneumoError)
    assert f"{folder} contains one of" in str(error)


@pytest.mark.parametrize("old, new", [("ray", "builtin"), (BINARY, "tf-serving")])
def test_old_engine_names_are_accepted_with_a_warning(
    tmp_path: Path, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    result = CliRunner().invoke(command, ["--model-dir", str(tmp_path), "--engine", old])
    assert isinstance(result.exception, PneumoError)  # no version; no such program
    assert result.stderr == f"pneumo serve: --engine {old} is now {new}\n"


@pytest.mark.parametrize("engine", ["auto", "builtin", "tf-serving", "container"])
def test_a_missing_model_folder_is_named_before_an_engine_is_chosen(
    tmp_path: Path, engine: str
) -> None:
    arguments = ["--model-dir", str(tmp_path / "nowhere"), "--engine", engine]
    error = CliRunner().invoke(command, arguments).exception
    assert isinstance(error, PneumoError)
    assert "nowhere is not a folder" in str(error)
