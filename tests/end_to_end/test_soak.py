"""The short form of `python -m tests.support.soak`."""

from pathlib import Path

import pytest

from tests.support.soak import soak


@pytest.mark.slow
def test_no_request_fails_while_versions_change_one_is_broken_and_a_replica_dies(
    small_model: Path,
) -> None:
    found = soak(small_model, minutes=0.75, every=15.0)
    assert found["failures"] == 0, found
    assert found["broken_never_served"], found
    assert all(entry["state"] == "END" and entry["error"] for entry in found["broken"].values())
    assert found["broken"]
    assert found["newest_state"] == "AVAILABLE", found
    assert len(found["versions_seen"]) == found["pushed"] >= 2, found
    assert found["replicas_killed"] == 1
    assert found["by_protocol"].keys() == {"rest", "grpc"}
