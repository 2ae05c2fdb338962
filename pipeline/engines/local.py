"""Starts what an engine needs and was not given, on the loopback interface, and ends it."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.engines import flink
from pipeline.engines.arguments import beam_args
from pipeline.engines.guard import child, wait_until
from pipeline.engines.job_server import jar_of, java, job_server
from pipeline.engines.options import BeamOptions, Engine
from schema.errors import PneumoError
from schema.ports import LOOPBACK, free_ports, listens


@contextlib.contextmanager
def running(
    engine: Engine, options: BeamOptions, folder: Path, more: Sequence[str] = ()
) -> Iterator[list[str]]:
    """Everything that the engine needs is up as long as this lasts.

    Whatever is started ends with this process, even where that is killed. Call it from the main
    thread.

    Args:
      engine: which.
      options: what is not given there is started here.
      folder: for the logs of what is started; made if need be.
      more: Beam arguments of the user, which come last.

    Yields:
      Beam's arguments for ingest and for every component that works with Beam.

    Raises:
      PneumoError: something that the engine needs is missing, does not answer or did not start.
    """
    cores = len(os.sched_getaffinity(0))
    if engine in ("direct", "processes", "dataflow"):
        yield [*beam_args(engine, options, cores), *more]
        return
    if engine in ("flink", "spark") and not options.job_endpoint:
        java()  # before anything is started
        options = options.model_copy(update={"job_server_jar": jar_of(engine, options)})
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as up:
        found = dict[str, str]()
        if not options.image and not options.worker_pool:
            found["worker_pool"] = up.enter_context(worker_pool(folder))
        if options.job_endpoint:
            _must_answer("beam.job_endpoint", options.job_endpoint)
        elif engine == "portable":
            found["job_endpoint"] = up.enter_context(
                job_service(folder, options.parallelism or cores)
            )
        elif engine == "flink":
            master = options.flink_master
            if master:
                _must_answer("beam.flink_master", master)
            elif home := flink.home(options.flink_home):
                workers = options.parallelism or cores
                jar = options.job_server_jar
                assert jar is not None  # found above
                cluster = up.enter_context(flink.cluster(home, folder / "flink", workers, jar))
                master = cluster.address
            found["job_endpoint"] = up.enter_context(
                job_server("flink", options, master or "[local]", folder)
            )
        else:
            master = options.spark_master or f"local[{options.parallelism or cores}]"
            found["job_endpoint"] = up.enter_context(job_server("spark", options, master, folder))
        yield [*beam_args(engine, options.model_copy(update=found), cores), *more]


def _must_answer(key: str, address: str) -> None:
    if not listens(address):
        raise PneumoError(f"nothing answers at {address} ({key}); start it, or remove the key")


@contextlib.contextmanager
def worker_pool(folder: Path) -> Iterator[str]:
    """A pool of Python workers on this machine; yields its HOST:PORT."""
    address = f"{LOOPBACK}:{free_ports(1)[0]}"
    log = folder / "workers.log"
    command = [sys.executable, "-m", "pipeline.engines.pool", "--port", address.split(":")[1]]
    with child(command, log) as pool:
        wait_until(lambda: listens(address), [pool], "the pool of workers", log)
        yield address


@contextlib.contextmanager
def job_service(folder: Path, workers: int) -> Iterator[str]:
    """Beam's local job service on this machine; yields its HOST:PORT."""
    port = free_ports(1)[0]
    address, log = f"localhost:{port}", folder / "jobs.log"
    command = [sys.executable, "-m", "pipeline.engines.job_service", str(port), str(workers)]
    with child(command, log) as service:
        wait_until(lambda: listens(address), [service], "the job service", log)
        yield address
