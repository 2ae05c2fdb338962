"""Processes that train together over the loopback interface, against one that trains alone."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.trainer.ranks import loopback
from tests.components.trainer import rank
from tests.support import stores

# Float32: sums over the images of a batch are added up in another order, and the differences go
# through three epochs of Adam. Measured: 5e-8 of the loss, 1e-8 of a weight.
LOSS, WEIGHT = 2e-6, 1e-5
HEARTBEAT_S = 10
_ROOT = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
      status: exit status.
      told: standard error.
      at: seconds after the first of its kind ended.
    """

    status: int
    told: str
    at: float


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    rank.site(folder)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    with stores.s3(tmp_path_factory.mktemp("s3")) as found:
        yield found


def train(
    site: Path, configs: Sequence[str], out: str, arguments: Sequence[str], more: dict[str, str]
) -> list[Ended]:
    """Starts a process for each TF_CONFIG and waits for all."""
    logs = [site / f"{out}-{i}.log" for i in range(len(configs))]
    running = []
    for config, file in zip(configs, logs, strict=True):
        environment = {
            **os.environ, **more, "TF_CONFIG": config, "OUT": out, "PYTHONPATH": _ROOT,
            "PNEUMO_HEARTBEAT_SECONDS": str(HEARTBEAT_S), "CUDA_VISIBLE_DEVICES": "",
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.components.trainer.rank", str(site), *arguments]
        with file.open("wb") as log:
            running.append(subprocess.Popen(command, env=environment, stderr=log))
    ended: dict[int, float] = {}
    deadline = time.monotonic() + 600
    while len(ended) < len(running):
        assert time.monotonic() < deadline, [file.read_text()[-2000:] for file in logs]
        for i, process in enumerate(running):
            if i not in ended and process.poll() is not None:
                ended[i] = time.monotonic()
        time.sleep(0.05)
    first = min(ended.values())
    return [
        Ended(process.returncode, file.read_text(), ended[i] - first)
        for i, (process, file) in enumerate(zip(running, logs, strict=True))
    ]


def result(site: Path, out: str, number: int = 0) -> tuple[dict[str, Any], list[np.ndarray]]:
    with np.load(site / f"{out}-{number}.npz") as stored:
        weights = [stored[f"w{i}"] for i in range(len(stored.files) - 1)]
        return json.loads(str(stored["curves"])), weights


def assert_same(site: Path, one: str, other: str) -> None:
    """Loss in every epoch, and weights, within the bound; images right, to the last one."""
    (expected, weights), (curves, others) = result(site, one), result(site, other)
    for name in ("loss", "val_loss"):
        assert len(curves[name]) == rank.EPOCHS
        np.testing.assert_allclose(curves[name], expected[name], rtol=LOSS, err_msg=name)
    for name in ("accuracy", "val_accuracy", "learning_rate", "best_epoch"):
        assert curves[name] == expected[name]
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_allclose(a, b, atol=WEIGHT, rtol=WEIGHT)


def assert_lost(survivor: Ended, number: int) -> None:
    """It ended by itself, soon, in one line that says what to do."""
    assert survivor.status == 1, survivor.told[-2000:]
    assert survivor.at < 3 * HEARTBEAT_S + 15
    lines = [line for line in survivor.told.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert re.search(rf"rank {number} of 2 lost another process of the training \(.+\)", lines[0])
    assert lines[0].endswith("start all of them again: they go on from the last checkpoint")


def test_a_worker_dies_and_two_go_on_to_what_one_learns(site: Path, store: stores.Store) -> None:
    """From stored activations; states in an object store."""
    (alone,) = train(site, [""], "cache-one", ["cache", str(site / "states of cache")], {})
    assert alone.status == 0, alone.told[-2000:]
    states = f"{store.root}/states"
    chief, worker = train(
        site, loopback(2), "cache-two", ["cache", states, "1:2"], store.environment
    )
    assert worker.status == -9
    assert_lost(chief, 0)
    assert not list(site.glob("cache-two-*.npz"))
    again = train(site, loopback(2), "cache-two", ["cache", states], store.environment)
    assert [of.status for of in again] == [0, 0], again[0].told[-2000:]
    assert_same(site, "cache-one", "cache-two")
    curves, weights = result(site, "cache-two", 0)
    others, of_others = result(site, "cache-two", 1)
    assert curves == others
    for a, b in zip(weights, of_others, strict=True):
        np.testing.assert_array_equal(a, b)
    # The chief alone leaves logs.
    assert list((site / "logs-0").rglob("events.*"))
    assert not (site / "logs-1").exists()
    before = rank.job(site).trunk.split()[1].get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, weights, strict=False))


def test_the_chief_dies_and_one_goes_on_alone(site: Path) -> None:
    """From images, of which each process has its own files."""
    (alone,) = train(site, [""], "images-one", ["images", str(site / "states of images")], {})
    assert alone.status == 0, alone.told[-2000:]
    states = str(site / "states of two")
    chief, worker = train(site, loopback(2), "images-two", ["images", states, "0:3"], {})
    assert chief.status == -9
    assert_lost(worker, 1)
    (again,) = train(site, [""], "images-two", ["images", states], {})
    assert again.status == 0, again.told[-2000:]
    assert_same(site, "images-one", "images-two")


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (0, "the chief waited 3 s for 127.0.0.1:"),
        (1, "rank 1 of 2 cannot join the others at 127.0.0.1:"),
    ],
)
def test_a_rank_that_never_comes_is_told(site: Path, number: int, line: str) -> None:
    (other,) = train(
        site, [loopback(2)[number]], "none", ["cache", str(site / "no states")],
        {"PNEUMO_JOIN_SECONDS": "3"},
    )  # fmt: skip
    assert other.status == 1
    lines = [text for text in other.told.splitlines() if text.startswith("Error: ")]
    assert len(lines) == 1
    assert line in lines[0]
