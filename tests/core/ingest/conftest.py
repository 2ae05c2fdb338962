import pytest

from tests.core.ingest.trees import official, run


@pytest.fixture(scope="session")
def ingested(tmp_path_factory):
    """Returns source, data set and summary of one run."""
    root = tmp_path_factory.mktemp("ingested")
    official(root / "source")
    return root / "source", root / "dest", run(root / "source", root / "dest")
