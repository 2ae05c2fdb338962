"""Ports that somebody takes between their choice and the start of the server."""

import socket
from pathlib import Path

import pytest

from components.endpoint_validator import server
from components.endpoint_validator.verdict import NoAnswer


@pytest.mark.parametrize("which", [0, 1], ids=["REST", "gRPC"])
def test_a_taken_port_is_tried_again_with_others(
    which: int, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        choose = server.free_ports

        def free_ports(count: int) -> list[int]:
            nonlocal asked
            asked += 1
            ports = choose(count)
            if asked == 1:
                ports[which] = taken.getsockname()[1]
            return ports

        monkeypatch.setattr(server, "free_ports", free_ports)
        with server.serving(small_model / "1", tmp_path) as endpoint:
            assert endpoint.get(f"/v1/models/{server.NAME}")["model_version_status"]
    assert asked == 2


def test_it_gives_up(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(server, "free_ports", lambda count: [port] * count)
        with pytest.raises(NoAnswer, match="in use"), server.serving(small_model / "1", tmp_path):
            pass
