"""The health check of a container, against a real HTTP server."""

import http.server
import threading
from pathlib import Path

import pytest

from image.healthcheck import DEFAULT_PORT, main, rest_port

PNEUMO = ["/usr/bin/tini", "-g", "--", "pneumo"]


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ([], None),
        ([*PNEUMO, "run", "--data", "x"], None),
        (["python", "-m", "pipeline.kubeflow.entrypoint"], None),
        ([*PNEUMO, "serve", "--model-dir", "/m"], DEFAULT_PORT),
        ([*PNEUMO, "serve", "--rest-port", "9000"], 9000),
        ([*PNEUMO, "serve", "--rest-port=9001", "--ui"], 9001),
        (["/sbin/docker-init", "--", *PNEUMO, "serve", "--rest-port", "7"], 7),
    ],
)
def test_rest_port(command: list[str], port: int | None) -> None:
    assert rest_port(command) == port


def test_default_port_is_that_of_pneumo_serve() -> None:
    from pipeline.commands.serve import command

    (option,) = [one for one in command.params if one.name == "rest_port"]
    assert option.default == DEFAULT_PORT


def _command_line(folder: Path, *arguments: str) -> Path:
    path = folder / "cmdline"
    path.write_bytes("\0".join([*PNEUMO, *arguments, ""]).encode())
    return path


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_health_is_that_of_readyz(status: int, expected: int, tmp_path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line = _command_line(tmp_path, "serve", "--rest-port", str(server.server_port))
        assert main(line) == expected
        server.shutdown()


def test_server_that_does_not_respond_is_unhealthy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    assert main(_command_line(tmp_path, "serve", f"--rest-port={port}")) == 1
    assert f"127.0.0.1:{port}/readyz" in capsys.readouterr().out


def test_other_commands_are_healthy(tmp_path: Path) -> None:
    assert main(_command_line(tmp_path, "run", "--data", "x")) == 0
