"""`pneumo serve` against calls of the SavedModel in a process of its own.

One client for latency, 32 for throughput, over REST and gRPC; in-process at batch 1 and 32. Server
and clients share the machine, so the clients' own work counts against the server. Blocks of both
sides alternate and a ratio is the median over the blocks: a machine that slows down for a while
slows both. PNEUMO_BENCH_MODEL names a folder of versions; else a model is trained on phantoms.
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

from tests.support.models.small_model import phantoms
from tests.support.serving.server import ROOT, Server, ask, call, request, running

IMAGES, SIZE = 32, 320
BLOCKS, CALLS, SECONDS = 5, 32, 6.0
CLIENTS = 32
BACKBONE = "InceptionV3"


def bench() -> dict[str, Any]:
    """Milliseconds, images per second and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = os.environ.get("PNEUMO_BENCH_MODEL")
        model = Path(given) if given else _model(folder)
        images = phantoms(folder, IMAGES, SIZE)
        version = max(model.glob("[0-9]*"), key=lambda path: int(path.name))
        started = time.monotonic()
        with running(model) as server:
            start = time.monotonic() - started  # with the import of TensorFlow, as a user waits
            with _InProcess(version, folder) as in_process:
                return {
                    "work": f"{given or BACKBONE}, {SIZE} px JPEG",
                    "start_s": start,
                    "latency_1_client": _latency(server, in_process, images),
                    "throughput_32_clients": _throughput(server, in_process, images),
                    "rss_mib": server.rss() >> 20,
                }


def _ratios(found: dict[str, list[float]]) -> dict[str, float]:
    base = found["in_process"]
    return {
        f"{name}_ratio": statistics.median(a / b for a, b in zip(values, base, strict=True))
        for name, values in found.items()
        if name != "in_process"
    }


def _latency(server: Server, in_process: "_InProcess", images: list[bytes]) -> dict[str, Any]:
    """Sequential calls of one image, each side in turn."""
    web, channel = httpx.Client(timeout=120), grpc.insecure_channel(server.rpc)
    sides: dict[str, Callable[[int], Any]] = {
        "in_process": in_process.predict,
        "rest": lambda i: ask(server, [images[i]], web),
        "grpc": lambda i: call(channel, request(server.name, [images[i]])),
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
            if block:  # the first warms everything
                medians[name].append(statistics.median(values[-CALLS:]))
    found: dict[str, Any] = _ratios(medians)
    for name, values in seconds.items():
        ordered = sorted(values[CALLS:])
        p99 = ordered[int(0.99 * (len(ordered) - 1) + 0.5)]
        found[name] = {"p50_ms": 1000 * statistics.median(ordered), "p99_ms": 1000 * p99}
    return found


def _throughput(server: Server, in_process: "_InProcess", images: list[bytes]) -> dict[str, Any]:
    """Images per second: 32 clients with one image each, against batches of 32."""
    rates: dict[str, list[float]] = {"in_process": [], "rest": [], "grpc": []}
    for block in range(BLOCKS + 1):
        found = {
            "in_process": in_process.rate(),
            "rest": _rate(server, images, rest=True),
            "grpc": _rate(server, images, rest=False),
        }
        for name, rate in found.items():
            rates[name] += [rate] if block else []
    medians = {f"{name}_images_per_s": statistics.median(rate) for name, rate in rates.items()}
    return medians | _ratios(rates)


def _rate(server: Server, images: list[bytes], rest: bool) -> float:
    """Answers per second of clients that send the next request after each answer."""
    ready, stop = threading.Barrier(CLIENTS + 1), threading.Event()
    counts = [0] * CLIENTS

    def client(number: int) -> None:
        image = images[number % len(images)]
        message = request(server.name, [image])
        with httpx.Client(timeout=120) as web, grpc.insecure_channel(server.rpc) as channel:
            ready.wait()
            while not stop.is_set():
                if rest:
                    ask(server, [image], web)
                else:
                    call(channel, message)
                counts[number] += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


class _InProcess:
    """The SavedModel in a child process, which computes one image or batches for a while."""

    def __init__(self, model: Path, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.serving", str(model), str(folder / "phantoms")]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.child = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)

    def __enter__(self) -> "_InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stdin.close()
        self.child.wait(60)

    def predict(self, image: int) -> None:
        """One call at batch 1."""
        self._ask(image)

    def rate(self) -> float:
        """Images per second at batch 32."""
        return self._ask(-1)

    def _ask(self, what: int) -> float:
        print(what, file=self.child.stdin, flush=True)
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
    """A trained model of the real backbone at its real size, by `pneumo run` on phantoms."""
    from core.phantom.dataset import write_phantoms

    write_phantoms(folder / "training", 96, 1, size=SIZE)
    config = folder / "bench.yaml"
    config.write_text(
        f"name: bench\nmodel: {{backbone: {BACKBONE}, weights: random}}\n"
        "training: {epochs: 2}\nevaluation: {resamples: 20, gate: {auc: {min: 0.0}}}\n"
    )
    command = [sys.executable, "-m", "pipeline.cli", "run", "--config", str(config)]
    command += ["--data", str(folder / "training"), "--workdir", str(folder / "work")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    return folder / "work" / "serving"


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
