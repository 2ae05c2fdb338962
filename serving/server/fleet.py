"""Ray Serve as this server uses it: a private Ray, an application for each version.

Ray listens on the loopback interface only, asks for a token that this process makes, keeps its
files in a folder that is removed at the end, sends no usage statistics, and dies with this process.
"""

import contextlib
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schema.errors import PneumoError
from schema.processes import environment
from serving.server import afterwards
from serving.server.codec import Column
from serving.server.replica import Answer, Replica

PREFIX = "pneumo-"
# Names of sockets end at 107 letters, and Ray adds 65 to the folder.
_ROOT = Path(tempfile.gettempdir()) if len(tempfile.gettempdir()) < 16 else Path("/tmp")
_TRIES = 3
_OBJECTS = 96 << 20  # Ray's shared memory; requests do not go through it
log = logging.getLogger("pneumo.serve")


class LoadError(Exception):
    """A version cannot be served; the message says why."""


class ReplicaLost(Exception):
    """A replica did not answer; the request may be asked again.

    Attributes:
      certain: its process is gone; else the error is one that may come again.
    """

    def __init__(self, message: str, certain: bool) -> None:
        super().__init__(message)
        self.certain = certain


class Fleet:
    """Replicas of all versions.

    Args:
      replicas: processes for each version.
      max_batch: images computed together.
      threads: of one replica; 0 shares the cores among the replicas.
      max_requests: under way in one replica.
    """

    def __init__(self, replicas: int, max_batch: int, threads: int, max_requests: int) -> None:
        self.replicas = replicas
        self.max_batch = max_batch
        self.threads = threads or max(1, (os.cpu_count() or 1) // replicas)
        self.max_requests = max_requests
        self.folder = Path()
        self._started = 0
        self._afterwards: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts Ray. To be called from the main thread: Ray ends when that thread does."""
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_ROOT))
        self._afterwards = subprocess.Popen(
            [sys.executable, "-I", "-S", afterwards.__file__, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        os.environ.update(_environment(self.threads), **{afterwards.MARK: str(self.folder)})
        import ray
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
        for left in reversed(range(_TRIES)):
            try:
                ray.init(
                    address="local",
                    include_dashboard=False,
                    num_cpus=1,
                    object_store_memory=_OBJECTS,
                    _temp_dir=str(self.folder),
                    log_to_driver=False,
                    configure_logging=False,
                    logging_level=logging.ERROR,
                )
                break
            except Exception as error:  # Ray gives its processes 30 seconds and no choice
                ray.shutdown()
                if not left:
                    raise PneumoError(
                        f"Ray could not be started: {error}; the machine may be too busy, or short "
                        f"of memory or of space in {_ROOT}"
                    ) from error
        serve.start(
            http_options={"location": "NoServer"},
            logging_config={"enable_access_log": False, "log_level": "ERROR"},
        )
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)

    def load(self, version: int, folder: Path) -> "Version":
        """Starts replicas for a version and waits until each has proved that it answers.

        Raises:
          LoadError: it cannot be served.
        """
        from ray import serve

        self._started += 1
        name = f"v{version}-{self._started}"
        told = self.folder / f"{name}.txt"
        deployment: Any = serve.deployment(
            Replica,
            name="replica",
            num_replicas=self.replicas,
            max_ongoing_requests=self.max_requests,
            health_check_period_s=1.0,
            health_check_timeout_s=60.0,
            graceful_shutdown_timeout_s=1.0,  # the front has waited for its requests before
            graceful_shutdown_wait_loop_s=0.1,
            max_constructor_retry_count=1,
            ray_actor_options={"num_cpus": 0},
        )
        app = deployment.bind(str(folder), self.max_batch, self.threads, str(told))
        try:
            handle = serve.run(app, name=name, route_prefix=None)
            facts = handle.describe.remote().result(timeout_s=60)
        except Exception as error:
            log.debug("version %s", version, exc_info=True)
            with contextlib.suppress(Exception):
                serve.delete(name, _blocking=False)
            reason = told.read_text() if told.is_file() else "the process that loaded it died"
            raise LoadError(reason) from error
        return Version(name, handle, facts)

    def unload(self, version: "Version") -> None:
        """Ends the replicas of a version."""
        from ray import serve

        serve.delete(version.app)

    def alive(self) -> bool:
        """Whether Ray itself still answers."""
        from ray import serve

        try:
            serve.status()
        except Exception:
            return False
        return True

    def stop(self) -> None:
        """Ends everything and removes Ray's files."""
        import ray

        with contextlib.suppress(Exception):
            ray.shutdown()
        if self._afterwards is not None and self._afterwards.stdin is not None:
            self._afterwards.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._afterwards.wait(20)


class Version:
    """One loaded version, as the front asks it.

    Attributes:
      app: name of the application.
      inputs: signature -> input -> Spec.
      facts: as `Saved.describe` gives them.
    """

    def __init__(self, app: str, handle: Any, facts: Mapping[str, Any]) -> None:
        self.app = app
        self.facts = facts
        self.inputs = facts["inputs"]
        self._predict = handle.predict

    async def ask(
        self, signature: str, inputs: Mapping[str, Column], rows: int, deadline: float
    ) -> Answer:
        """Asks some replica.

        Raises:
          ReplicaLost: it went away.
          TimeoutError: no answer before the deadline (of time.time()).
        """
        import asyncio

        response = self._predict.remote(signature, inputs, rows, deadline)
        try:
            async with asyncio.timeout(max(deadline - time.time(), 0.0)):
                return await response
        except (TimeoutError, asyncio.CancelledError):
            response.cancel()
            raise
        except Exception as error:
            first = str(error).partition("\n")[0][:200]
            log.warning("%s did not answer: %s: %s", self.app, type(error).__name__, first)
            raise ReplicaLost(first, certain=_is_loss(error)) from error


def _is_loss(error: Exception) -> bool:
    import grpc
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import RayServeException

    return isinstance(error, RayActorError | RayServeException | grpc.RpcError)


def _environment(threads: int) -> dict[str, str]:
    """Settings that Ray reads from the environment; its processes inherit them."""
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Else Ray's processes write their titles over the mark by which `afterwards` finds them.
        "SPT_NOENV": "1",
        # Ray's word for "this machine alone": every address is then 127.0.0.1.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",  # straight to the replica: 2.8 against 4.7 ms
        # Else requests above 4 MiB do not reach it.
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str((1 << 31) - 1),
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_memory_monitor_refresh_ms": "0",  # the machine's own guard decides, not Ray's
        "OMP_NUM_THREADS": str(threads),  # else Ray sets 1
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "PYTHONPATH": environment()["PYTHONPATH"],
    }
