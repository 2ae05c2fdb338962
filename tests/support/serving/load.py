"""Load on a server over both protocols while versions come and go."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from tests.support.serving.server import Server, predict_over_grpc, predict_over_rest, request


@dataclass
class Load:
    """What the clients saw: requests by protocol, failures, versions, and the slowest answer."""

    requests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)
    longest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def load(server: Server, images: Sequence[bytes], clients: int = 2) -> Iterator[Load]:
    """Clients that send one image after another, half of them over REST, half over gRPC."""
    found, stop = Load(), threading.Event()
    expected = [(image, predict_over_rest(server, [image])[0]["score"]) for image in images]

    def client(rest: bool) -> None:
        with httpx.Client(timeout=120) as web, grpc.insecure_channel(server.rpc) as channel:
            while not stop.is_set():
                for image, score in expected:
                    _one(server, found, web if rest else channel, image, score)

    threads = [threading.Thread(target=client, args=(i % 2 == 0,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


def _one(server: Server, found: Load, way: Any, image: bytes, expected: float) -> None:
    started, versions, failures = time.monotonic(), set(), []
    rest = isinstance(way, httpx.Client)
    try:
        if rest:
            score = predict_over_rest(server, [image], way)[0]["score"]
        else:
            answer = predict_over_grpc(way, request(server.name, [image]))
            versions.add(answer.model_spec.version.value)
            score = answer.outputs["score"].float_val[0]
        # Neighbours in a batch change the last bits of a float32, and no more.
        if abs(score - expected) >= 1e-5:
            failures.append(f"score {score}")
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}"[:300])
    with found.lock:
        found.requests["rest" if rest else "grpc"] += 1
        found.longest = max(found.longest, time.monotonic() - started)
        found.versions |= versions
        found.failures += failures


def push(source: Path, served: Path, number: int, broken: bool = False) -> None:
    """A copy under a new number, there in one moment."""
    served.mkdir(exist_ok=True)
    making = served / f".making-{number}"
    shutil.copytree(source, making)
    if broken:
        shutil.rmtree(making / "variables")
    making.rename(served / str(number))
