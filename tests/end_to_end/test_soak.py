"""Hot swap under load: `python -m tests.support.soak` in a short and in a longer form."""

from pathlib import Path

import pytest

from tests.support.soak import soak


@pytest.mark.parametrize(
    "minutes, every",
    [
        (0.1, 2.0),
        # Slow: a minute and a half of load; the short form has the same events.
        pytest.param(1.5, 10.0, marks=pytest.mark.slow),
    ],
)
def test_no_request_fails_while_versions_change_and_one_is_broken(
    small_model: Path, minutes: float, every: float
) -> None:
    found = soak(small_model, minutes, every)
    assert found["failures"] == 0, found
    assert found["by_protocol"].keys() == {"rest", "grpc"}
    assert found["newest_state"] == "AVAILABLE"
    assert found["versions_seen"] == found["pushed"]
    assert len(found["pushed"]) >= 3
    ((state, error),) = found["broken"].values()
    assert state == "END"
    assert "variables" in error
