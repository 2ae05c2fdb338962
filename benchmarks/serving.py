"""`pneumo serve`, compared with direct calls of the SavedModel in another process.

One client for latency, 32 for throughput, over REST and gRPC; direct calls with batches of 1 and
32. Server and clients share the machine, so the work of the clients counts against the server.
Blocks of both sides alternate, and a ratio is the median over the blocks, so a temporary slowdown
of the machine affects both. PNEUMO_BENCH_MODEL is a folder of model versions; by default a model is
trained on phantoms.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx

from schema.processes import child_environment
from tests.support.models.small_model import phantoms
from tests.support.serving.server import (
    ROOT,
    Server,
    predict_over_grpc,
    predict_over_rest,
    request,
    running,
)

IMAGES, SIZE = 32, 320
BLOCKS, CALLS, SECONDS = 5, 32, 6.0
CLIENTS = 32
BACKBONE = "InceptionV3"


def bench() -> dict[str, Any]:
    """Returns milliseconds, images per second and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_folder = os.environ.get("PNEUMO_BENCH_MODEL")
        model = Path(model_folder) if model_folder else _model(folder)
        images = phantoms(folder, IMAGES, SIZE)
        version = max(model.glob("[0-9]*"), key=lambda path: int(path.name))
        started = time.monotonic()
        with running(model) as server:
            start = time.monotonic() - started  # includes the import of TensorFlow
            with _InProcess(version, folder) as in_process:
                return {
                    "work": f"{model_folder or BACKBONE}, {SIZE} px JPEG",
                    "start_s": start,
                    "latency_1_client": _latency(server, in_process, images),
                    "throughput_32_clients": _throughput(server, in_process, images),
                    "rss_mib": server.rss() >> 20,
                }


def _ratios(measured: dict[str, list[float]]) -> dict[str, float]:
    base = measured["in_process"]
    return {
        f"{name}_ratio": statistics.median(a / b for a, b in zip(values, base, strict=True))
        for name, values in measured.items()
        if name != "in_process"
    }


def _latency(server: Server, in_process: "_InProcess", images: list[bytes]) -> dict[str, Any]:
    """Measures sequential calls with one image, alternating between the sides."""
    web, channel = httpx.Client(timeout=120), grpc.insecure_channel(server.rpc)
    sides: dict[str, Callable[[int], Any]] = {
        "in_process": in_process.predict,
        "rest": lambda i: predict_over_rest(server, [images[i]], web),
        "grpc": lambda i: predict_over_grpc(channel, request(server.name, [images[i]])),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    medians: dict[str, list[float]] = {name: [] for name in sides}
    for block in range(BLOCKS + 1):
        for i in range(CALLS):
            for name, predict in sides.items():
                started = time.perf_counter()
                predict(i % len(images))
                seconds[name].append(time.perf_counter() - started)
        for name, values in seconds.items():
            if block:  # the first block is a warm-up
                medians[name].append(statistics.median(values[-CALLS:]))
    result: dict[str, Any] = _ratios(medians)
    for name, values in seconds.items():
        ordered = sorted(values[CALLS:])
        p99 = ordered[int(0.99 * (len(ordered) - 1) + 0.5)]
        result[name] = {"p50_ms": 1000 * statistics.median(ordered), "p99_ms": 1000 * p99}
    return result


def _throughput(server: Server, in_process: "_InProcess", images: list[bytes]) -> dict[str, Any]:
    """Measures images per second: 32 clients with one image each, and batches of 32."""
    rates: dict[str, list[float]] = {"in_process": [], "rest": [], "grpc": []}
    for block in range(BLOCKS + 1):
        block_rates = {
            "in_process": in_process.rate(),
            "rest": _rate(server, images, rest=True),
            "grpc": _rate(server, images, rest=False),
        }
        for name, rate in block_rates.items():
            rates[name] += [rate] if block else []
    medians = {f"{name}_images_per_s": statistics.median(rate) for name, rate in rates.items()}
    return medians | _ratios(rates)


def _rate(server: Server, images: list[bytes], rest: bool) -> float:
    """Measures predictions per second of clients that send requests one after the other."""
    start, stop = threading.Barrier(CLIENTS + 1), threading.Event()
    counts = [0] * CLIENTS

    def client(number: int) -> None:
        image = images[number % len(images)]
        message = request(server.name, [image])
        with httpx.Client(timeout=120) as web, grpc.insecure_channel(server.rpc) as channel:
            start.wait()
            while not stop.is_set():
                if rest:
                    predict_over_rest(server, [image], web)
                else:
                    predict_over_grpc(channel, message)
                counts[number] += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    start.wait()
    started = time.perf_counter()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


class _InProcess:
    """The SavedModel in a child process that runs one image, or batches for some seconds."""

    def __init__(self, model: Path, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.serving", str(model), str(folder / "phantoms")]
        environment = child_environment(TF_CPP_MIN_LOG_LEVEL="2")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.child = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)

    def __enter__(self) -> "_InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stdin.close()
        self.child.wait(60)

    def predict(self, image: int) -> None:
        """Runs one call with batch size 1."""
        self._run(image)

    def rate(self) -> float:
        """Measures images per second with batch size 32."""
        return self._run(-1)

    def _run(self, image: int) -> float:
        print(image, file=self.child.stdin, flush=True)
        return float(self.child.stdout.readline())


def _child(model: Path, folder: Path) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    files = sorted(folder.rglob("*.jpeg"), key=lambda file: file.name)[:IMAGES]
    images = [file.read_bytes() for file in files]

    def predict(batch: list[bytes]) -> None:
        for values in loaded.signatures["serving_default"](image_bytes=tf.constant(batch)).values():
            values.numpy()

    for line in sys.stdin:
        started, n = time.perf_counter(), 0
        if (image := int(line)) >= 0:
            predict([images[image]])
        else:
            while time.perf_counter() - started < SECONDS:
                predict(images)
                n += len(images)
        print(n / (time.perf_counter() - started), flush=True)


def _model(folder: Path) -> Path:
    """Trains a model with the default backbone and size by `pneumo run` on phantoms."""
    from core.phantom.dataset import write_phantoms

    write_phantoms(folder / "training", 96, 1, size=SIZE)
    config = folder / "bench.yaml"
    config.write_text(
        f"name: bench\nmodel: {{backbone: {BACKBONE}, weights: random}}\n"
        "training: {epochs: 2}\nevaluation: {resamples: 20, gate: {auc: {min: 0.0}}}\n"
    )
    command = [sys.executable, "-m", "pipeline.cli", "run", "--config", str(config)]
    command += ["--data", str(folder / "training"), "--workdir", str(folder / "work")]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=child_environment())
    return folder / "work" / "serving"


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
