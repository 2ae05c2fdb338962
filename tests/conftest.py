import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

from schema.ports import bypass_proxy_for_loopback
from tests.support.runs.processes import SMALL, clone, pneumo, pneumo_in_new_process

# Before any import of TensorFlow: quiet, and no search for a GPU that tests do not use.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# TFX puts a stand-in into tfx_bsl without which TFDV cannot be imported: it must come first.
os.environ.setdefault("MPLBACKEND", "Agg")
bypass_proxy_for_loopback()  # the servers of the tests

# No deadline, because the machine is shared; the same examples in every run.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs end-to-end tests first, so that none is left to run alone at the end."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Returns a function that creates a folder once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make(name: str, write: Callable[[Path], object]) -> Path:
        folder, made = shared / name, shared / f"{name}.made"
        with FileLock(f"{folder}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                write(folder)
                made.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def small_model(once: Once) -> Path:
    """A folder with version 1 of a small model."""
    return once(
        "small_model", lambda to: pneumo(to / "1", module="tests.support.models.small_model")
    )


@pytest.fixture(scope="session")
def exported(once: Once) -> Any:
    """A Transform graph and a SavedModel with a small network."""
    return _exported(once, "stretch")


@pytest.fixture(scope="session")
def small_server(small_model: Path) -> Iterator[Any]:
    """Built-in server of the small model with low limits; tests must not change its folder."""
    from tests.support.serving.server import LIMITS, running

    with running(small_model, *LIMITS) as server:
        yield server


@pytest.fixture(scope="session", params=["stretch", "pad", "crop"])
def fitted(request: pytest.FixtureRequest, once: Once) -> Any:
    """`exported` with each value of `fit`, for tests of pixels and boxes."""
    return _exported(once, request.param)


def _exported(once: Once, fit: str) -> Any:
    from tests.support.models import exported

    name = exported.__name__
    return exported.read(once(f"exported_{fit}", lambda to: pneumo(to, fit, module=name)), fit)


@pytest.fixture(scope="session")
def phantoms(once: Once) -> Path:
    """96 synthetic radiographs of 128 pixels in the layout of the public data set."""
    from core.phantom.dataset import write_phantoms

    return once("phantoms", lambda to: write_phantoms(to, 96, 1, size=128))


@pytest.fixture(scope="session")
def config(once: Once) -> Path:
    """A configuration that runs in about one CPU minute."""
    return once("small.yaml", lambda to: to.write_text(SMALL))


@pytest.fixture(scope="session")
def small_run(once: Once, phantoms: Path, config: Path) -> Path:
    """Read-only work folder of a finished run of `config` on `phantoms`."""

    def run(folder: Path) -> None:
        work = folder.with_name("small_work")
        done = pneumo_in_new_process(
            "run", "--config", config, "--data", phantoms, "--workdir", work
        )
        assert done.returncode == 0, done.stdout + done.stderr
        clone(work, folder)

    return once("small_run", run)


@pytest.fixture(scope="module")
def small_work(small_run: Path) -> Iterator[Path]:
    """Original folder of `small_run`, which can be run again; locked by one module at a time."""
    work = small_run.with_name("small_work")
    with FileLock(f"{work}.lock"):
        shutil.rmtree(work)
        yield clone(small_run, work)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium browser; per module, because its driver runs an event loop in this thread."""
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
