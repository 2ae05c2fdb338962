"""Who trains together: the processes that TF_CONFIG names, and what share of the work is whose.

TF_CONFIG is what TensorFlow reads and what Vertex AI and Kubeflow's training operator set:
`{"cluster": {"chief": [HOST:PORT], "worker": [HOST:PORT, ...]}, "task": {"type", "index"}}`.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Final

from schema.errors import PneumoError

TF_CONFIG: Final = "TF_CONFIG"
_JOBS: Final = ("chief", "worker")  # in the order of their ranks, which is TensorFlow's
_IDLE: Final = ("ps", "evaluator")  # jobs that other strategies have


@dataclass(frozen=True)
class Share:
    """One of `size` equal parts of the work."""

    rank: int = 0
    size: int = 1

    @property
    def chief(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def part(self, n: int) -> slice:
        """Its part of n things in a row; parts differ by one thing at most, and may be empty."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)


ALONE: Final = Share()


@dataclass(frozen=True)
class Cluster(Share):
    """The processes of one training.

    Attributes:
      addresses: HOST:PORT of each rank; empty where a process trains alone.
      job: of this process, "chief" or "worker".
      jobs: job -> how many processes.
    """

    addresses: tuple[str, ...] = ()
    job: str = "worker"
    jobs: tuple[tuple[str, int], ...] = ()


def cluster_of(value: str | None = None) -> Cluster:
    """Reads TF_CONFIG.

    Args:
      value: its text; none reads the variable. Without a cluster a process is alone.

    Raises:
      PneumoError: it is not JSON, or names no task of its cluster.
    """
    text = os.environ.get(TF_CONFIG, "") if value is None else value
    if not text.strip():
        return Cluster()
    try:
        given = json.loads(text)
        jobs: dict[str, Any] = dict(given.get("cluster") or {})
        task = dict(given.get("task") or {})
    except (ValueError, TypeError, AttributeError):
        raise _wrong("is not a JSON object with cluster and task") from None
    if not jobs:
        return Cluster()
    if unknown := set(jobs) - {*_JOBS, *_IDLE}:
        raise _wrong(f"names a job {sorted(unknown)[0]!r}; multi_worker knows chief and worker")
    found = tuple((job, list(jobs[job])) for job in _JOBS if jobs.get(job))
    addresses = tuple(str(address) for _, of in found for address in of)
    if len(set(addresses)) != len(addresses):
        raise _wrong("gives two processes the same address")
    counts = tuple((job, len(of)) for job, of in found)
    kind, index = str(task.get("type", "")), task.get("index", 0)
    if kind in _IDLE:
        raise _wrong(f"makes this process a {kind!r}, which has no part in multi_worker")
    before = 0
    for job, count in counts:
        if job == kind:
            if not str(index).isdigit() or int(index) >= count:
                raise _wrong(f"has no {kind} {index!r}; its cluster has {count}")
            return Cluster(before + int(index), len(addresses), addresses, job, counts)
        before += count
    raise _wrong(f"has no task of its cluster: type is {kind!r}, jobs are {', '.join(jobs)}")


def _wrong(what: str) -> PneumoError:
    return PneumoError(f"{TF_CONFIG} {what}; see docs/clusters.md")
