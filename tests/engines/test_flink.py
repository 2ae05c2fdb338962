"""Flink for real: two task managers, one of them killed in the middle of a job.

`make test-engines` fetches Flink and Beam's job server and runs this; it takes some minutes.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.ingest.job import ingest
from components.ingest.options import IngestOptions
from pipeline.engines import flink
from pipeline.engines.guard import environment
from pipeline.engines.local import running
from pipeline.engines.options import BeamOptions
from tests.engines import fetch, fetched, graph
from tests.engines.fetched import ENGINES

ROOT = Path(__file__).parents[2]


def missing() -> str:
    """Why this can't run here; empty where it can."""
    if why := fetched.missing("flink"):
        return why
    if not any((ENGINES / fetch.FLINK).glob("lib/flink-dist*.jar")):
        return f"no Flink in {ENGINES}; python -m tests.engines.fetch {ENGINES}"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "runs")


class Killed:
    """Kills a task manager with SIGKILL while it works on a job.

    Args:
      cluster: its.
      when: told the vertices of a running job (state of each, and of its subtasks where they
        are), whether this is the moment.
    """

    def __init__(
        self, cluster: flink.Cluster, when: Callable[[list[dict[str, Any]]], bool]
    ) -> None:
        self._cluster, self._when = cluster, when
        self._done = threading.Event()
        self.job = self.name = ""
        self.states: list[str] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Killed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            for job in (self._cluster.get("/jobs") or {}).get("jobs", []):
                if job["status"] == "RUNNING" and self._kill(job["id"]):
                    return

    def _kill(self, job: str) -> bool:
        vertices = (self._cluster.get(f"/jobs/{job}") or {}).get("vertices", [])
        if not self._when(vertices):
            return False
        for vertex in (v for v in vertices if v["status"] == "RUNNING"):
            found = self._cluster.get(f"/jobs/{job}/vertices/{vertex['id']}") or {}
            for subtask in found.get("subtasks", []):
                process = self._cluster.task_managers.get(subtask.get("taskmanager-id", ""))
                if subtask["status"] == "RUNNING" and process and process.poll() is None:
                    self.job, self.name = job, subtask["taskmanager-id"]
                    self.states = [v["status"] for v in vertices]
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return True
        return False


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[flink.Cluster, list[str]]]:
    """A cluster of two task managers, a job server, a pool; and Beam's arguments for them."""
    jar = fetch.jar_of(ENGINES, "flink")
    with flink.cluster(ENGINES / fetch.FLINK, tmp_path / "flink", 2, jar) as cluster:
        options = BeamOptions(flink_master=cluster.address, job_server_jar=jar, parallelism=2)
        with running("flink", options, tmp_path / "engine") as args:
            yield cluster, args


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from components.phantom.dataset import write_phantoms

    folder = tmp_path_factory.mktemp("images")
    write_phantoms(folder, 400, 0)
    return folder


@pytest.fixture(scope="module")
def records(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ingest writes without any of this."""
    dest = tmp_path_factory.mktemp("records") / "direct"
    ingest(images, dest, IngestOptions(images_per_shard=64))
    return dest


def job_of(cluster: flink.Cluster, killed: Killed) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(f"/jobs/{killed.job}")
    return found


def test_ingest_with_a_killed_task_manager_writes_the_same_bytes(
    up: tuple[flink.Cluster, list[str]], images: Path, records: Path, tmp_path: Path
) -> None:
    cluster, args = up
    middle = threading.Event()

    def progress(phase: str, done: int, total: int) -> None:
        if phase == "check" and 0 < done < total:
            middle.set()

    with Killed(cluster, lambda _: middle.is_set()) as killed:
        ingest(
            images,
            tmp_path / "records",
            IngestOptions(images_per_shard=64),
            beam_args=args,
            progress=progress,
        )

    assert killed.name, "no task manager was killed: the check was over too soon"
    job = job_of(cluster, killed)
    assert job["state"] == "FINISHED"
    assert job["timestamps"]["RESTARTING"] > 0
    files = {path.name: path.read_bytes() for path in records.iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "records").iterdir()} == files


def test_components_with_a_killed_task_manager_write_the_same_records(
    up: tuple[flink.Cluster, list[str]], records: Path, small_model: Path, tmp_path: Path
) -> None:
    import tfx.v1  # noqa: F401  before TFDV and TFMA

    cluster, args = up
    model = small_model / "1"
    here, there = tmp_path / "direct", tmp_path / "on_flink"
    components(records, model, here, [], lambda _: None)
    at_transform = threading.Event()

    def watch(line: str) -> None:
        if "Transform ..." in line:
            at_transform.set()

    def middle(vertices: list[dict[str, Any]]) -> bool:
        finished = sum(v["status"] == "FINISHED" for v in vertices)
        return at_transform.is_set() and finished * 4 >= len(vertices)

    with Killed(cluster, middle) as killed:
        components(records, model, there, args, watch)

    assert killed.name, "no task manager was killed"
    assert "FINISHED" in killed.states
    assert job_of(cluster, killed)["state"] == "FINISHED"
    assert (cluster.get("/overview") or {})["taskmanagers"] == 1

    for node, output in (("ImportExampleGen", "examples"), ("Transform", "transformed_examples")):
        expected = graph.lines(here, node, output)
        assert sum(map(len, expected.values())) > 300
        assert graph.lines(there, node, output) == expected
    same_answers(here, there)
    same_statistics(here, there)
    expected_metrics, found = graph.metrics(here), graph.metrics(there)
    assert len(expected_metrics) > 5
    assert found == pytest.approx(expected_metrics, rel=1e-6, nan_ok=True)


def components(
    records: Path, model: Path, folder: Path, args: list[str], line: Callable[[str], None]
) -> None:
    """Runs the nodes in a process of its own: Beam's options are flags of the whole process."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.engines.graph", records, model, folder, *args]
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment(),
        )  # fmt: skip
        assert process.stdout is not None
        for text in process.stdout:
            print(time.strftime("%H:%M:%S"), text, end="")
            line(text)
    assert process.wait() == 0, log.read_text()[-3000:]


def same_answers(here: Path, there: Path) -> None:
    """Each image is answered once, and the same; TensorFlow sees it in a batch of other images."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    def answers(folder: Path) -> dict[bytes, dict[str, np.ndarray]]:
        found = {}
        ((_, lines),) = graph.lines(folder, "BulkInferrer", "inference_result").items()
        for line in lines:
            log = prediction_log_pb2.PredictionLog.FromString(line).predict_log
            (asked,) = log.request.inputs.values()
            outputs = log.response.outputs
            found[asked.string_val[0]] = {k: tf.make_ndarray(v) for k, v in outputs.items()}
        assert len(found) == len(lines)
        return found

    expected, found = answers(here), answers(there)
    assert found.keys() == expected.keys()
    worst, equal = 0.0, 0
    for image, of in expected.items():
        assert found[image].keys() == of.keys()
        exact = True
        for name, value in of.items():
            if value.dtype.kind == "f":
                worst = max(worst, float(np.abs(found[image][name] - value).max(initial=0)))
            else:
                np.testing.assert_array_equal(found[image][name], value)
            exact &= np.array_equal(found[image][name], value, equal_nan=value.dtype.kind == "f")
        equal += exact
    print(f"answers: {equal} of {len(expected)} equal to the bit; largest difference {worst:.2g}")
    assert worst < 1e-5


def same_statistics(here: Path, there: Path) -> None:
    """Counts are the same; sums of floats were added in another order."""
    expected, found = graph.statistics(here), graph.statistics(there)
    assert found.keys() == expected.keys() == {"Split-train", "Split-val", "Split-test"}
    for split, features in expected.items():
        assert found[split].keys() == features.keys()
        assert found[split]["examples"] == features["examples"] > 0
        for name, of in features.items():
            if name == "examples":
                continue
            other = found[split][name]
            kind = of.WhichOneof("stats")
            assert kind == other.WhichOneof("stats")
            common, others = (getattr(x, kind).common_stats for x in (of, other))
            assert common.num_non_missing == others.num_non_missing
            assert common.tot_num_values == others.tot_num_values
            if kind == "num_stats":
                for field in ("mean", "std_dev", "min", "max", "median"):
                    value = getattr(of.num_stats, field)
                    assert getattr(other.num_stats, field) == pytest.approx(value, rel=1e-9)
            else:
                assert other == of, name
