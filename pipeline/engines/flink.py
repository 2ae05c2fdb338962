"""A Flink cluster on the loopback interface: a job manager and task managers."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.engines.guard import answers, child, wait_until
from pipeline.engines.job_server import java_command
from schema.errors import PneumoError
from schema.ports import LOOPBACK, free_ports

_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

# MiB. A task manager moves names and records between Python workers and computes nothing itself.
_HEAP, _OFF_HEAP, _MANAGED, _NETWORK = 320, 128, 128, 192

_LOGGING = """
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %p %c{1} - %m%n
"""


def home(given: Path | None) -> Path | None:
    """Folder of the Flink distribution; None where neither `given` nor FLINK_HOME names one.

    Raises:
      PneumoError: it holds no Flink.
    """
    named = given or (Path(os.environ["FLINK_HOME"]) if os.environ.get("FLINK_HOME") else None)
    if named is None:
        return None
    folder = named.expanduser()
    if not any(folder.glob("lib/flink-dist*.jar")):
        raise PneumoError(
            f"{folder} holds no Flink distribution (no lib/flink-dist*.jar); look at "
            f"{'beam.flink_home' if given else 'FLINK_HOME'}"
        )
    return folder.resolve()


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
      address: HOST:PORT of the REST interface.
      job_manager: its process.
      task_managers: id -> its process.
    """

    address: str
    job_manager: "subprocess.Popen[bytes]"
    task_managers: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def get(self, path: str) -> Any:
        """JSON that the REST interface answers; None where it does not."""
        body = answers(f"http://{self.address}{path}")
        return json.loads(body) if body else None


def settings(ports: tuple[int, int], folder: Path, workers: int) -> dict[str, str]:
    """Configuration of every process of a loopback cluster.

    Args:
      ports: of the job manager's RPC and REST.
      folder: for what it puts on disk.
      workers: task managers.
    """
    rpc, rest = ports
    return {
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.rpc.port": str(rpc),
        "jobmanager.bind-host": LOOPBACK,
        "jobmanager.memory.process.size": "1024m",
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": str(rest),
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        # Room for a whole job on each, so that one alone can go on; all are used while they last.
        "taskmanager.numberOfTaskSlots": str(workers),
        "cluster.evenly-spread-out-slots": "true",
        "taskmanager.cpu.cores": "1",
        "taskmanager.memory.framework.heap.size": "64m",
        "taskmanager.memory.task.heap.size": f"{_HEAP - 64}m",
        "taskmanager.memory.framework.off-heap.size": f"{_OFF_HEAP // 2}m",
        "taskmanager.memory.task.off-heap.size": f"{_OFF_HEAP // 2}m",
        "taskmanager.memory.managed.size": f"{_MANAGED}m",
        "taskmanager.memory.network.min": f"{_NETWORK}m",
        "taskmanager.memory.network.max": f"{_NETWORK}m",
        # A job of TFX has dozens of shuffles; each asks for 16 MiB at once unless told otherwise.
        "taskmanager.network.sort-shuffle.min-buffers": "64",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        "classloader.resolve-order": "parent-first",
        # A task manager that dies takes its tasks with it: they start again on those that are left,
        # as soon as the silence is noticed.
        "restart-strategy": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "20",
        "restart-strategy.fixed-delay.delay": "1 s",
        "web.refresh-interval": "500",  # ms; what the REST interface tells is this old at most
        # ms. One that is dead refuses the connection, which is noticed at the second try; one that
        # is only slow, on a machine with more to do, is not to be taken for dead.
        "heartbeat.interval": "2000",
        "heartbeat.timeout": "60000",
        "io.tmp.dirs": str(folder / "tmp"),
    }


@contextlib.contextmanager
def cluster(distribution: Path, folder: Path, workers: int, beam: Path) -> Iterator[Cluster]:
    """Runs a cluster as long as this lasts.

    Args:
      distribution: folder with lib/.
      folder: for configuration, logs and scratch; made if need be.
      workers: task managers.
      beam: jar of Beam's job server. Beam keeps Python workers from one stage of a job to the next
        only where its classes belong to Flink itself and not to the job.

    Raises:
      PneumoError: no Java, or it does not start; the line names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    rpc, rest = free_ports(2)
    told = settings((rpc, rest), folder, workers)
    (folder / "flink-conf.yaml").write_text("".join(f"{k}: {v}\n" for k, v in told.items()))
    (folder / "log4j.properties").write_text(_LOGGING)
    with contextlib.ExitStack() as up:
        log = folder / "job_manager.log"
        manager = up.enter_context(
            child(command(distribution, folder, _JOB_MANAGER, 512, beam), log)
        )
        found = Cluster(f"{LOOPBACK}:{rest}", manager)
        wait_until(lambda: found.get("/overview") is not None, [manager], "Flink", log)
        for number in range(1, workers + 1):
            name = f"task_manager_{number}"
            started = command(distribution, folder, _TASK_MANAGER, _HEAP, beam)
            named = [*started, f"-Dtaskmanager.resource-id={name}"]
            found.task_managers[name] = up.enter_context(child(named, folder / f"{name}.log"))
        log = folder / "task_manager_1.log"

        def all_there() -> bool:
            return (found.get("/overview") or {}).get("taskmanagers") == workers

        wait_until(
            all_there, [manager, *found.task_managers.values()], "a task manager of Flink", log
        )
        yield found


def command(distribution: Path, folder: Path, program: str, heap_mib: int, beam: Path) -> list[str]:
    """The command of one process of a cluster."""
    # The table interface is large, and nothing here is a table.
    jars = [str(x) for x in sorted(distribution.glob("lib/*.jar")) if "-table-" not in x.name]
    direct: Final = _OFF_HEAP + _NETWORK
    return [
        *java_command(heap_mib),
        f"-XX:MaxDirectMemorySize={direct}m",
        f"-Dlog4j.configurationFile={folder / 'log4j.properties'}",
        "-cp", os.pathsep.join([*jars, str(beam.resolve())]), program, "--configDir", str(folder),
    ]  # fmt: skip
