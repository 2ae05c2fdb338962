import pytest

from tests.core.ingest.trees import official, run


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Source, data set and summary of an untroubled run."""
    root = tmp_path_factory.mktemp("job")
    official(root / "source")
    return root / "source", root / "dest", run(root / "source", root / "dest")
