"""`pneumo serve` against a call of the SavedModel in a process of its own.

One client for latency, 32 for throughput, over REST and gRPC; in-process at batch 1 and 32. Each
side is measured alone, with the same model, images and number of threads; server and clients share
the machine, so the clients' own work counts against the server. Blocks of both sides alternate and
the ratio is the median over the blocks: a machine that slows down for a while slows both.
"""

import json
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

from tests.support.server import ROOT, Server, ask, call, request, running

IMAGES, SIZE = 32, 320
BLOCKS, CALLS, SECONDS = 5, 32, 6.0
CLIENTS = 32
TRUNK = "InceptionV3"


def bench() -> dict[str, Any]:
    """Milliseconds, images per second and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = os.environ.get("PNEUMO_BENCH_MODEL")
        model = Path(given) if given else _model(folder)
        images = _images(folder)
        at = time.monotonic()
        # Loading the server's libraries is a part of the start, so this is the user's own wait.
        with running(model) as server:
            cold = time.monotonic() - at
            with _InProcess(max(model.glob("[0-9]*"), key=lambda p: int(p.name)), folder) as bare:
                return {
                    "work": f"{given or TRUNK}, {SIZE} px JPEG",
                    "cold_start_s": cold,
                    "latency_1_client": _latency(server, bare, images),
                    "throughput_32_clients": _throughput(server, bare, images),
                    "rss_mib": _memory(server),
                    "bound_by": "arithmetic of the trunk on the machine's cores",
                }


def _latency(server: Server, bare: "_InProcess", images: list[bytes]) -> dict[str, Any]:
    """Sequential calls of one image, each side in turn."""
    client, channel = httpx.Client(timeout=120), grpc.insecure_channel(server.rpc)
    sides: dict[str, Callable[[bytes], Any]] = {
        "rest": lambda image: ask(server, [image], client),
        "grpc": lambda image: call(channel, request(server, [image])),
    }
    took: dict[str, list[float]] = {"in_process": [], **{name: [] for name in sides}}
    medians: dict[str, list[float]] = {name: [] for name in took}
    for block in range(-1, BLOCKS):
        found: dict[str, list[float]] = {name: [] for name in took}
        for i in range(CALLS):  # in turn, so that each side meets the same neighbours
            found["in_process"].append(bare.latency(i % len(images)))
            for name, one in sides.items():
                at = time.perf_counter()
                one(images[i % len(images)])
                found[name].append(time.perf_counter() - at)
        if block >= 0:  # the first warms both
            for name, seconds in found.items():
                took[name] += seconds
                medians[name].append(statistics.median(seconds))
    return {
        **{
            name: {
                "p50_ms": 1000 * statistics.median(seconds),
                "p99_ms": 1000 * sorted(seconds)[int(0.99 * (len(seconds) - 1) + 0.5)],
            }
            for name, seconds in took.items()
        },
        **{f"{name}_p50_ratio": _ratio(medians[name], medians["in_process"]) for name in sides},
    }


def _throughput(server: Server, bare: "_InProcess", images: list[bytes]) -> dict[str, Any]:
    """Images per second: 32 clients that ask one image each, against batches of 32."""
    rates: dict[str, list[float]] = {"in_process": [], "rest": [], "grpc": []}
    for block in range(-1, BLOCKS):
        found = {
            "in_process": bare.rate(SECONDS),
            "rest": _rate(server, images, rest=True),
            "grpc": _rate(server, images, rest=False),
        }
        if block >= 0:
            for name, rate in found.items():
                rates[name].append(rate)
    return {
        **{f"{name}_images_per_s": statistics.median(rate) for name, rate in rates.items()},
        **{f"{name}_ratio": _ratio(rates[name], rates["in_process"]) for name in ("rest", "grpc")},
    }


def _ratio(these: list[float], those: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def _rate(server: Server, images: list[bytes], rest: bool) -> float:
    """Answers per second of closed-loop clients; those that end after the time count in part."""
    ready, stop = threading.Barrier(CLIENTS + 1), threading.Event()
    counts = [0] * CLIENTS

    def client(number: int) -> None:
        web, channel = httpx.Client(timeout=120), grpc.insecure_channel(server.rpc)
        image = images[number % len(images)]
        message = request(server, [image])
        ready.wait()
        while not stop.is_set():
            if rest:
                ask(server, [image], web)
            else:
                call(channel, message)
            counts[number] += 1
        web.close()
        channel.close()

    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    ready.wait()
    at = time.perf_counter()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - at)


def _memory(server: Server) -> dict[str, int]:
    found: dict[str, int] = {"all": server.rss() >> 20}
    for process in server.tree():
        line = " ".join(process.cmdline())
        kind = (
            "front" if "pipeline.cli" in line
            else "replica" if "ServeReplica" in line
            else "other"
        )  # fmt: skip
        found[kind] = found.get(kind, 0) + (process.memory_info().rss >> 20)
    return found


class _InProcess:
    """The SavedModel in a child that measures itself on request."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving", str(model), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def __enter__(self) -> "_InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait(60)

    def latency(self, image: int) -> float:
        """Seconds of one call at batch 1."""
        return float(self._tell({"image": image}))

    def rate(self, seconds: float) -> float:
        """Images per second at batch 32."""
        return float(self._tell({"seconds": seconds}))

    def _tell(self, what: dict[str, Any]) -> Any:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps(what) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())


def _child(model: Path, folder: Path) -> None:
    import tensorflow as tf

    signature = tf.saved_model.load(str(model)).signatures["serving_default"]
    images = _images(folder)

    def one(batch: list[bytes]) -> None:
        for value in signature(image_bytes=tf.constant(batch)).values():
            value.numpy()

    for line in sys.stdin:
        asked = json.loads(line)
        if "image" in asked:
            at = time.perf_counter()
            one([images[asked["image"]]])
            print(time.perf_counter() - at, flush=True)
        else:
            at, n = time.perf_counter(), 0
            while time.perf_counter() - at < asked["seconds"]:
                one(images)
                n += len(images)
            print(n / (time.perf_counter() - at), flush=True)


def _images(folder: Path) -> list[bytes]:
    files = sorted((folder / "images").glob("*.jpeg"))
    if not files:
        from components.phantom.dataset import write_phantoms

        write_phantoms(folder / "phantoms", IMAGES, 0, size=SIZE)
        (folder / "images").mkdir()
        for file in sorted((folder / "phantoms").rglob("*.jpeg"))[:IMAGES]:
            (folder / "images" / file.name).write_bytes(file.read_bytes())
        files = sorted((folder / "images").glob("*.jpeg"))
    return [file.read_bytes() for file in files]


def _model(folder: Path) -> Path:
    """A trained model of the real trunk at its real size, by `pneumo run` on phantoms."""
    from components.phantom.dataset import write_phantoms

    write_phantoms(folder / "training", 96, 1, size=SIZE)
    config = folder / "bench.yaml"
    config.write_text(
        f"name: bench\nmodel: {{trunk: {TRUNK}, weights: random}}\n"
        "training: {epochs: 2}\nevaluation: {resamples: 20, gate: {auc: {min: 0.0}}}\n"
    )
    subprocess.run(
        [
            sys.executable, "-m", "pipeline.cli", "run", "--config", str(config), "--data",
            str(folder / "training"), "--workdir", str(folder / "work"),
        ],
        check=True, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return folder / "work" / "serving"


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
