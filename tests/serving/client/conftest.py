from collections.abc import Iterator

import pytest

from tests.support.stand_ins.model_server import StandInServer, start


@pytest.fixture
def standin() -> Iterator[StandInServer]:
    made = StandInServer()
    stop = start(made)
    yield made
    stop()


@pytest.fixture(params=["rest", "grpc"])
def endpoint(request: pytest.FixtureRequest, standin: StandInServer) -> str:
    return str(getattr(standin, request.param))
