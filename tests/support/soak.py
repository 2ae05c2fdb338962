"""Load on a server while versions come, one of them broken, and a replica is killed.

python -m tests.support.soak --minutes 10 [--model-dir DIR] prints one JSON object. The traffic goes
to a server on this machine that is started for it, on the loopback interface, and ends with the
time.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from tests.support.server import Server, ask, call, request, running, wait_for
from tests.support.small_model import phantoms

BROKEN = ("graph", "variables")


@dataclass
class Load:
    """What the clients saw; guarded by its lock.

    Attributes:
      requests: by protocol.
      failures: what failed, with the second at which it did.
      versions: that answered over gRPC, which names them -> answers.
      longest: seconds of the slowest answer.
    """

    requests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    versions: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


def soak(model_dir: Path, minutes: float, every: float, clients: int = 4) -> dict[str, Any]:
    """Runs it, with one replica: while it is gone there is none to answer, and requests wait.

    Args:
      model_dir: has a version to copy; nothing is written there.
      minutes: of load.
      every: seconds between new versions.
      clients: half of them over REST, half over gRPC.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = max(model_dir.glob("[0-9]*"), key=lambda path: int(path.name))
        served = folder / "served"
        _push(source, served, 1)
        images = phantoms(folder, 4, size=256)
        with running(served) as server:
            return _under_load(server, source, served, images, minutes * 60, every, clients)


def _under_load(
    server: Server, source: Path, served: Path, images: list[bytes], seconds: float, every: float,
    clients: int,
) -> dict[str, Any]:  # fmt: skip
    load, stop = Load(), threading.Event()
    expected = {
        image: ask(server, [image])[0]["score"] for image in images
    }  # every version is a copy of the first
    threads = [
        threading.Thread(
            target=_client, args=(server, expected, load, stop, i % 2 == 0), daemon=True
        )
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    started, number = time.monotonic(), 1
    steps = max(2, int(seconds / every))
    broken: list[int] = []
    good = [1]
    killed = 0
    peak = server.rss()
    for step in range(1, steps):
        wait_for(lambda at=started + step * every: time.monotonic() >= at, every + 600, "time")
        number += 1
        if step == max(1, steps // 3):
            _push(source, served, number, break_it=BROKEN[0])
            broken.append(number)
        else:
            _push(source, served, number)
            good.append(number)
        if step == max(1, 2 * steps // 3):
            _settle(server, good)
            server.replicas()[0].send_signal(signal.SIGKILL)
            killed += 1
        peak = max(peak, server.rss())
    time.sleep(max(0.0, started + seconds - time.monotonic()))
    _settle(server, good)
    time.sleep(3.0)
    stop.set()
    for thread in threads:
        thread.join(120)
    states = {n: _state(server, n) for n in [*good, *broken]}
    errors = {n: _status(server, n)["status"]["error_message"] for n in broken}
    return {
        "seconds": round(time.monotonic() - started, 1),
        "requests": sum(load.requests.values()),
        "by_protocol": dict(load.requests),
        "failures": len(load.failures),
        "first_failures": load.failures[:5],
        "pushed": len(good),
        "versions_seen": sorted(load.versions),
        "newest_state": states[good[-1]],
        "broken": {str(n): {"state": states[n], "error": errors[n]} for n in broken},
        "broken_never_served": not set(broken) & set(load.versions),
        "replicas_killed": killed,
        "longest_answer_s": round(load.longest, 2),
        "rss_mib": {"peak": peak >> 20, "end": server.rss() >> 20},
    }


def _settle(server: Server, good: list[int]) -> None:
    """Waits until the newest good version answers alone."""
    wait_for(lambda: _state(server, good[-1]) == "AVAILABLE", 240, "the newest version")
    for number in good[:-1]:
        wait_for(lambda n=number: _state(server, n) == "END", 120, f"the end of version {number}")
    wait_for(lambda: len(server.replicas()) == 1, 60, "one replica")


def _push(source: Path, served: Path, number: int, break_it: str = "") -> None:
    """A copy under a new number, there in one moment."""
    served.mkdir(exist_ok=True)
    making = served / f".making-{number}"
    shutil.copytree(source, making)
    if break_it == "graph":
        graph = making / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[:-1000])
    elif break_it == "variables":
        shutil.rmtree(making / "variables")
    making.rename(served / str(number))


def _status(server: Server, number: int) -> dict[str, Any]:
    answer = httpx.get(f"{server.model}/versions/{number}", timeout=60)
    found: dict[str, Any] = {"state": "", "status": {"error_message": ""}}
    if answer.status_code == 200:
        found = answer.json()["model_version_status"][0]
    return found


def _state(server: Server, number: int) -> str:
    return str(_status(server, number)["state"])


def _client(
    server: Server, expected: dict[bytes, float], load: Load, stop: threading.Event, rest: bool
) -> None:
    """One client: the next request follows the answer to the one before."""
    ask_one = _rest(server) if rest else _grpc(server, load)
    images, i = list(expected), 0
    while not stop.is_set():
        image = images[i % len(images)]
        i += 1
        at = time.monotonic()
        try:
            score = ask_one(image)
            # Neighbours in a batch change the last bits of a float32, and no more.
            wrong = "" if abs(score - expected[image]) < 1e-5 else f"score {score}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"[:300]
        with load.lock:
            load.requests["rest" if rest else "grpc"] += 1
            load.longest = max(load.longest, time.monotonic() - at)
            if wrong:
                load.failures.append(wrong)


def _rest(server: Server) -> Callable[[bytes], float]:
    client = httpx.Client(timeout=120)
    return lambda image: float(ask(server, [image], client)[0]["score"])


def _grpc(server: Server, load: Load) -> Callable[[bytes], float]:
    channel = grpc.insecure_channel(server.rpc)

    def one(image: bytes) -> float:
        answer = call(channel, request(server, [image]))
        with load.lock:
            load.versions[answer.model_spec.version.value] += 1
        return float(answer.outputs["score"].float_val[0])

    return one


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
    sys.exit(1 if result["failures"] or not result["broken_never_served"] else 0)


if __name__ == "__main__":
    main()
