"""Load on a server while versions come, one of them broken.

python -m tests.support.soak --minutes 10 [--model-dir DIR] prints one JSON object. The traffic goes
to a server on this machine that is started for it, on the loopback interface, and ends with the
time.
"""

import argparse
import json
import shutil
import sys
import tempfile
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

from tests.support.server import Server, ask, call, request, running, state
from tests.support.small_model import phantoms


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
    expected = [(image, ask(server, [image])[0]["score"]) for image in images]

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
            score = ask(server, [image], way)[0]["score"]
        else:
            answer = call(way, request(server.name, [image]))
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


def soak(model_dir: Path, minutes: float, every: float, clients: int = 4) -> dict[str, Any]:
    """Pushes copies of a version under load; every third push is a broken one.

    Args:
      model_dir: has a version to copy; nothing is written there.
      minutes: of load.
      every: seconds between new versions.
      clients: half of them over REST, half over gRPC.
    """
    with tempfile.TemporaryDirectory() as name:
        served = Path(name) / "served"
        source = max(model_dir.glob("[0-9]*"), key=lambda path: int(path.name))
        push(source, served, 1)
        images = phantoms(Path(name), 4, size=256)
        with running(served) as server, load(server, images, clients) as found:
            rss, good, number = [server.rss() >> 20], [1], 1
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                number += 1
                if number % 3 == 0:
                    push(source, served, number, broken=True)
                    server.wait(f"version {number} is not served")
                else:
                    push(source, served, number)
                    server.wait(f"version {number} is served", 240)
                    server.wait(f"version {good[-1]} is unloaded", 60)
                    good.append(number)
                rss.append(server.rss() >> 20)
                time.sleep(every)
            newest = state(server, good[-1])[0]
    return {
        "by_protocol": dict(found.requests),
        "failures": len(found.failures),
        "first_failures": found.failures[:5],
        "pushed": good,
        "versions_seen": sorted(found.versions),
        "newest_state": newest,
        "longest_answer_s": round(found.longest, 2),
        "rss_mib": rss,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between versions")
    parser.add_argument("--model-dir", type=Path, help="default: a small model is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.model_dir
        if folder is None:
            from tests.support.small_model import write_small_model

            folder = Path(name)
            write_small_model(folder / "1")
        result = soak(folder, given.minutes, given.every)
    print(json.dumps(result, indent=1))
    sys.exit(bool(result["failures"]))


if __name__ == "__main__":
    main()
