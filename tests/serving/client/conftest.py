from collections.abc import Iterator

import pytest

from tests.serving.standin import Standin, start


@pytest.fixture
def standin() -> Iterator[Standin]:
    made = Standin()
    stop = start(made)
    yield made
    stop()


@pytest.fixture(params=["rest", "grpc"])
def endpoint(request: pytest.FixtureRequest, standin: Standin) -> str:
    return str(getattr(standin, request.param))
