"""The health of a container, asked of a real HTTP server."""

import http.server
import runpy
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.healthcheck import DEFAULT_PORT, main, rest_port
from tests.image.tools import ROOT

TINI = ["/usr/bin/tini", "-g", "--", "pneumo"]


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ([], None),
        (TINI, None),
        ([*TINI, "run", "--data", "x"], None),
        (["python", "-m", "pipeline.kubeflow.entry"], None),
        ([*TINI, "serve", "--model-dir", "/m"], DEFAULT_PORT),
        ([*TINI, "serve", "--rest-port", "9000"], 9000),
        ([*TINI, "serve", "--rest-port=9001", "--ui"], 9001),
        (["/sbin/docker-init", "--", *TINI, "serve", "--rest-port", "7"], 7),
    ],
)
def test_rest_port(words: list[str], port: int | None) -> None:
    assert rest_port(words) == port


def test_the_default_is_that_of_pneumo_serve() -> None:
    from pipeline.commands.serve import command

    (option,) = [one for one in command.params if one.name == "rest_port"]
    assert option.default == DEFAULT_PORT


class Ready(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class NotReady(Ready):
    status = 503


@pytest.fixture(params=[(Ready, 0), (NotReady, 1)])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    kind, expected = request.param
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_port, expected
        made.shutdown()


def command_line(folder: Path, *words: str) -> Path:
    path = folder / "cmdline"
    path.write_bytes("\0".join([*TINI, *words, ""]).encode())
    return path


def test_a_server_is_as_well_as_it_says(server: tuple[int, int], tmp_path: Path) -> None:
    port, expected = server
    assert main(command_line(tmp_path, "serve", "--rest-port", str(port))) == expected


def test_a_server_that_does_not_answer_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as gone:
        port = gone.server_port
    assert main(command_line(tmp_path, "serve", f"--rest-port={port}")) == 1
    assert f"127.0.0.1:{port}/readyz" in capsys.readouterr().out


def test_another_command_is_well_as_long_as_it_lives(tmp_path: Path) -> None:
    assert main(command_line(tmp_path, "run", "--data", "x")) == 0


def test_as_a_script() -> None:
    """This test's own first process serves nothing."""
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "image/healthcheck.py"), run_name="__main__")
    assert end.value.code == 0
