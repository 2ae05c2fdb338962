import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

from schema.ports import reach_loopback

# Before any import of TensorFlow: quiet, and no search for a GPU that tests do not use.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# TFX puts a stand-in into tfx_bsl without which TFDV cannot be imported: it must come first.
os.environ.setdefault("MPLBACKEND", "Agg")
reach_loopback()  # the servers of the tests

# No deadline, because the machine is shared; the same examples in each run.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: one of them alone at the end would leave a processor without work."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with version 1 of a small model; made once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "small_model"
    with FileLock(f"{folder}.lock"):
        if not (folder / "1").exists():
            # In a process of its own: TFX leaves much behind, and one process makes it for all.
            subprocess.run(
                [sys.executable, "-m", "tests.support.small_model", str(folder / "making" / "1")],
                check=True, cwd=Path(__file__).parents[1], capture_output=True,
            )  # fmt: skip
            (folder / "making" / "1").rename(folder / "1")
            (folder / "making").rmdir()
    return folder


@pytest.fixture(scope="session")
def small_server(small_model: Path) -> Iterator[Any]:
    """The built-in server of the small model, with small limits; nothing may change its folder."""
    from tests.support.server import LIMITS, running

    with running(small_model, *LIMITS) as server:
        yield server


@pytest.fixture(scope="session", params=["stretch", "pad"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Transform graph and a SavedModel with a small network."""
    from tests.support.exported import build

    return build(tmp_path_factory.mktemp("exported"), request.param)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real chromium. Of one module: its driver keeps an event loop running in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None:
        pytest.skip("needs chromium on the PATH (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        # A container often has no user namespaces and a small /dev/shm.
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        made = driver.chromium.launch(executable_path=found, args=options)
        yield made
        made.close()
