"""A pool of Python workers: an engine asks it for a worker, it starts a process.

    python -m pipeline.engines.pool --port 50000 [--host ADDRESS]

Beam has such a pool too; that one listens on every address and calls whatever `python` is first on
the PATH, or waits minutes where none is. This one listens on the loopback interface unless told
otherwise, and its workers run on the interpreter that runs it. Who can reach the port can have any
code run: never open it beyond the machines of the engine.
"""

import argparse
import queue
import signal
import subprocess
import sys
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

from pipeline.engines.guard import environment, stop
from schema.ports import LOOPBACK
from schema.processes import guarded

_Started = tuple[str, str, "queue.Queue[str]"]


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops workers, each a process."""

    def __init__(self) -> None:
        self._asked: queue.Queue[_Started | None] = queue.Queue()
        self._running: list[subprocess.Popen[bytes]] = []

    def StartWorker(  # noqa: N802, gRPC's name
        self,
        request: beam_fn_api_pb2.StartWorkerRequest,
        context: Any,  # noqa: ARG002
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Starts a worker that connects to the engine."""
        answer: queue.Queue[str] = queue.Queue()
        self._asked.put((request.control_endpoint.url, request.worker_id, answer))
        return beam_fn_api_pb2.StartWorkerResponse(error=answer.get())

    def StopWorker(  # noqa: N802, gRPC's name
        self,
        request: beam_fn_api_pb2.StopWorkerRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """Does nothing: a worker ends by itself when its engine hangs up.

        Several engine machines on one host, or one that started again, give their workers the same
        names; to stop one by name would stop another's.
        """
        return beam_fn_api_pb2.StopWorkerResponse()

    def stop(self) -> None:
        """Makes `work` return."""
        self._asked.put(None)

    def work(self) -> None:
        """Starts the workers that are asked for, until `stop`; then ends them.

        In the main thread: the kernel ends a guarded child with the thread that started it.
        """
        while (asked := self._asked.get()) is not None:
            endpoint, name, answer = asked
            self._running = [one for one in self._running if one.poll() is None]
            command = [sys.executable, "-m", "pipeline.engines.worker", endpoint, name]
            try:
                started = subprocess.Popen(
                    guarded(command), stdin=subprocess.DEVNULL, env=environment()
                )
            except OSError as error:
                answer.put(f"can't start a worker: {error}")
            else:
                self._running.append(started)
                answer.put("")
        for one in self._running:
            one.terminate()
        for one in self._running:
            stop(one)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    given = parser.parse_args()
    pool = Pool()
    # Where the port is taken this fails, rather than to share it with who holds it.
    server = grpc.server(
        thread_pool_executor.shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)]
    )
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"{given.host}:{given.port}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: pool.stop())
    server.start()
    print(f"workers are started at {given.host}:{given.port}", flush=True)
    pool.work()
    server.stop(0)


if __name__ == "__main__":
    main()
