from pathlib import Path

import pytest

from core.phantom.dataset import PhantomSummary, write_phantoms
from tests.core.phantom.parameters import SEED, SIZE, N


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> PhantomSummary:
    dest: Path = tmp_path_factory.mktemp("phantom") / "set"
    return write_phantoms(dest, N, SEED, size=SIZE)
