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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from tests.support.server import Server, ask, call, request, running, state, wait_for
from tests.support.small_model import phantoms


@dataclass
class Load:
    """What the clients saw; guarded by its lock.

    Attributes:
      requests: by protocol.
      failures: what failed.
      versions: that answered over gRPC, which names them.
      longest: seconds of the slowest answer.
    """

    requests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)
    longest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


def soak(model_dir: Path, minutes: float, every: float, clients: int = 4) -> dict[str, Any]:
    """Pushes copies of a version under load; the second push is a broken one.

    Args:
      model_dir: has a version to copy; nothing is written there.
      minutes: of load.
      every: seconds between new versions.
      clients: half of them over REST, half over gRPC.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = max(model_dir.glob("[0-9]*"), key=lambda path: int(path.name))
        push(source, folder / "served", 1)
        images = phantoms(folder, 4, size=256)
        with running(folder / "served") as server:
            return _under_load(
                server, source, folder / "served", images, minutes * 60, every, clients
            )


def _under_load(
    server: Server,
    source: Path,
    served: Path,
    images: list[bytes],
    seconds: float,
    every: float,
    clients: int,
) -> dict[str, Any]:
    load, stop = Load(), threading.Event()
    expected = {image: ask(server, [image])[0]["score"] for image in images}
    threads = [
        threading.Thread(target=_client, args=(server, expected, load, stop, i % 2 == 0))
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    rss = [server.rss() >> 20]
    good, broken = [1], [3]
    started = time.monotonic()
    try:
        for number in range(2, max(4, 2 + int(seconds / every))):
            push(source, served, number, broken=number in broken)
            if number in broken:
                server.wait(f"version {number} is not served")
            else:
                wait_for(lambda n=number: state(server, n)[0] == "AVAILABLE", 240, "a version")
                wait_for(lambda n=good[-1]: state(server, n)[0] == "END", 60, "the end of one")
                good.append(number)
            rss.append(server.rss() >> 20)
            time.sleep(max(0.0, started + (number - 1) * every - time.monotonic()))
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)
    return {
        "seconds": round(time.monotonic() - started, 1),
        "by_protocol": dict(load.requests),
        "failures": len(load.failures),
        "first_failures": load.failures[:5],
        "pushed": good,
        "versions_seen": sorted(load.versions),
        "newest_state": state(server, good[-1])[0],
        "broken": {number: state(server, number) for number in broken},
        "longest_answer_s": round(load.longest, 2),
        "rss_mib": rss,
    }


def push(source: Path, served: Path, number: int, broken: bool = False) -> None:
    """A copy under a new number, there in one moment."""
    making = served / f".making-{number}"
    shutil.copytree(source, making)
    if broken:
        shutil.rmtree(making / "variables")
    making.rename(served / str(number))


def _client(
    server: Server, expected: dict[bytes, float], load: Load, stop: threading.Event, rest: bool
) -> None:
    """One client: the next request follows the answer to the one before."""
    web, channel = httpx.Client(timeout=120), grpc.insecure_channel(server.rpc)
    images, i = list(expected), 0
    while not stop.is_set():
        image = images[i % len(images)]
        i += 1
        at, version, wrong = time.monotonic(), None, ""
        try:
            if rest:
                score = ask(server, [image], web)[0]["score"]
            else:
                answer = call(channel, request(server.name, [image]))
                version = answer.model_spec.version.value
                score = answer.outputs["score"].float_val[0]
            # Neighbours in a batch change the last bits of a float32, and no more.
            if abs(score - expected[image]) >= 1e-5:
                wrong = f"score {score}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"[:300]
        with load.lock:
            load.requests["rest" if rest else "grpc"] += 1
            load.longest = max(load.longest, time.monotonic() - at)
            load.versions |= {version} - {None}
            load.failures += [wrong] if wrong else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between versions")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--model-dir", type=Path, help="default: a small model is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.model_dir
        if folder is None:
            from tests.support.small_model import write_small_model

            folder = Path(name)
            write_small_model(folder / "1")
        result = soak(folder, given.minutes, given.every, given.clients)
    print(json.dumps(result, indent=1))
    sys.exit(bool(result["failures"]))


if __name__ == "__main__":
    main()
