"""Minutes of load on a server while versions come and go, every third of them broken."""

import time
from pathlib import Path

import pytest

from tests.support.models.small_model import phantoms
from tests.support.serving.load import load, push
from tests.support.serving.server import running, state

MINUTES, PAUSE = 2.0, 5.0  # of load; seconds between two versions


# Slow: minutes of load. test_serve.py has one hot swap and one broken version under load.
@pytest.mark.slow
def test_no_request_fails_and_memory_is_given_back(small_model: Path, tmp_path: Path) -> None:
    served, source = tmp_path / "served", small_model / "1"
    push(source, served, 1)
    images = phantoms(tmp_path, 4, size=256)
    with running(served) as server, load(server, images, clients=4) as found:
        rss, good, number = [server.rss()], [1], 1
        end = time.monotonic() + 60 * MINUTES
        while time.monotonic() < end:
            number += 1
            push(source, served, number, broken=number % 3 == 0)
            if number % 3 == 0:
                server.wait(f"version {number} is not served")
            else:
                server.wait(f"version {number} is served", 240)
                server.wait(f"version {good[-1]} is unloaded", 60)
                good.append(number)
            rss.append(server.rss())
            time.sleep(PAUSE)
        newest = state(server, good[-1])[0]
    assert not found.failures, found.failures[:5]
    assert found.requests.keys() == {"rest", "grpc"}
    assert newest == "AVAILABLE"
    assert sorted(found.versions) == good
    assert len(good) >= 3
    # What a version takes is given back: the peak while loading is not.
    assert rss[-1] < 2 * rss[1]
