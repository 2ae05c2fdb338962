"""A shorter form of `python -m tests.support.soak`."""

from pathlib import Path

import pytest

from tests.support.soak import soak


# Slow: minutes of load. test_serve.py has one hot swap and one broken version under load.
@pytest.mark.slow  # minutes of load
def test_no_request_fails_while_versions_change_and_some_are_broken(small_model: Path) -> None:
    found = soak(small_model, minutes=2, every=5)
    assert found["failures"] == 0, found
    assert found["by_protocol"].keys() == {"rest", "grpc"}
    assert found["newest_state"] == "AVAILABLE"
    assert found["versions_seen"] == found["pushed"]
    assert len(found["pushed"]) >= 3
    # What a version takes is given back: the peak while loading is not.
    assert found["rss_mib"][-1] < 2 * found["rss_mib"][1]
