from pathlib import Path

import pytest

from tests.support.finished_runs import FinishedRuns


@pytest.fixture
def add_run(tmp_path: Path) -> FinishedRuns:
    return FinishedRuns(tmp_path)
