"""The endpoint under test: PNEUMO_ENDPOINT and PNEUMO_GRPC name one, else one is started."""

import os
from collections.abc import Iterator

import grpc
import httpx
import pytest

from tests.support.models.small_model import phantoms
from tests.support.serving.server import Server


@pytest.fixture(scope="session")
def given() -> bool:
    """Whether an endpoint was named; its model is then not ours to know."""
    return "PNEUMO_ENDPOINT" in os.environ


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, given: bool) -> Server:
    if not given:
        started: Server = request.getfixturevalue("small_server")
        return started
    rest = os.environ["PNEUMO_ENDPOINT"].rstrip("/")
    host = rest.split("://")[1].rsplit(":", 1)[0]
    rpc = os.environ.get("PNEUMO_GRPC", f"{host}:8500")
    return Server(rest, rpc, os.environ.get("PNEUMO_MODEL", "pneumo"))


@pytest.fixture(scope="package")
def web() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=120) as client:
        yield client


@pytest.fixture(scope="package")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.rpc) as opened:
        yield opened


@pytest.fixture(scope="package")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return phantoms(tmp_path_factory.mktemp("images"), 4, size=256)
