import subprocess
import sys

import pytest


def test_two_replicas_learn_what_one_learns(request: pytest.FixtureRequest) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.core.training.loop.mirrored"],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.stdout == "mirrored: equal\n", result.stderr[-4000:]
