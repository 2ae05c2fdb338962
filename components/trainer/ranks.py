"""Starts the processes of a training on this machine, and looks after them.

There is no scheduler here: a cluster's own one (Vertex AI, Kubeflow's training operator) starts
processes on other machines, with TF_CONFIG in the environment of each.
"""

import collections
import contextlib
import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from components.trainer.cluster import TF_CONFIG, Cluster, cluster_of
from schema import storage
from schema.errors import PneumoError
from schema.ports import LOOPBACK, free_ports
from schema.processes import environment, guarded

GRACE_S: Final = 90.0  # that the others get to find out by themselves when one has failed
HANDED: Final = "training.json"  # below the folder of the checkpoints
_ERROR = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception): .*)")

log = logging.getLogger("pneumo.ranks")


def loopback(processes: int) -> list[str]:
    """TF_CONFIG of each of some processes on this machine."""
    cluster = {"worker": [f"{LOOPBACK}:{port}" for port in free_ports(processes)]}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}})
        for i in range(processes)
    ]


@dataclass
class _Rank:
    """A running process; what it prints goes to the log of this one."""

    number: int
    process: "subprocess.Popen[str]"
    error: str = ""
    last: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=40))

    def follow(self) -> None:
        """Reads until its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = line.rstrip()
            log.info("rank %d: %s", self.number, text)
            self.last.append(text)
            if found := _ERROR.match(text):
                self.error = found.group(1)

    @property
    def told(self) -> str:
        """How it failed."""
        code = self.process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f"{how}: {self.error.removeprefix('PneumoError: ')}" if self.error else how


def run_ranks(command: Sequence[str], configs: Sequence[str]) -> None:
    """Runs processes side by side until all have ended; they end with this one.

    Args:
      command: arguments of the interpreter.
      configs: TF_CONFIG of each.

    Raises:
      PneumoError: one failed; the others are ended too.
    """
    ranks: list[_Rank] = []
    readers: list[threading.Thread] = []
    try:
        for config in configs:
            process = subprocess.Popen(
                guarded([sys.executable, *command]),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace",
                # TFT asks for legacy Keras at import.
                env=environment(**{TF_CONFIG: config, "TF_USE_LEGACY_KERAS": "1"}),
            )  # fmt: skip
            ranks.append(_Rank(cluster_of(config).rank, process))
            readers.append(threading.Thread(target=ranks[-1].follow, daemon=True))
            readers[-1].start()
        first = _wait(ranks)
    finally:
        for rank in ranks:
            rank.process.kill()
            rank.process.wait()
        for reader in readers:
            reader.join(5)
    if first is not None:
        raise PneumoError(
            f"training: rank {first.number} of {cluster_of(configs[0]).size} ended before it was "
            f"done ({first.told}); start the run again: it goes on from the last checkpoint"
        )


def _wait(ranks: Sequence[_Rank]) -> _Rank | None:
    """Until all have ended, or GRACE_S after one has failed; gives the one that failed first."""
    first, until = None, 0.0
    # A list: all are polled, also those after one that runs.
    while None in [rank.process.poll() for rank in ranks]:
        if first is None:
            first = next((rank for rank in ranks if rank.process.returncode), None)
            until = time.monotonic() + GRACE_S
        elif time.monotonic() > until:
            break
        time.sleep(0.05)
    return first or next((rank for rank in ranks if rank.process.returncode), None)


@contextlib.contextmanager
def handed_over(checkpoints: str, command: Sequence[str], cluster: Cluster) -> Iterator[None]:
    """Leaves the command where the other ranks look for it, as long as this one trains."""
    uri = storage.join(checkpoints, HANDED)
    told = {"command": list(command), "addresses": list(cluster.addresses)}
    storage.write_bytes(uri, json.dumps(told).encode())
    try:
        yield
    finally:
        storage.remove(uri)


def wait_for_command(checkpoints: str, cluster: Cluster, seconds: float) -> list[str]:
    """The command that the chief left for this cluster.

    Raises:
      PneumoError: it has left none in time.
    """
    uri = storage.join(checkpoints, HANDED)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if storage.exists(uri):
            with contextlib.suppress(PneumoError):  # it went between the look and the reading
                told = json.loads(storage.read_bytes(uri))
                if told["addresses"] == list(cluster.addresses):
                    return list(told["command"])
        time.sleep(1.0)
    raise PneumoError(
        f"rank {cluster.rank} waited {seconds:g} s for {uri}, which the chief writes when its "
        "Trainer starts; is the chief running, on the same folder?"
    )
