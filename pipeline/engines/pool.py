"""Pool of Python workers for an engine on this machine.

    python -m pipeline.engines.pool --port 50000 [--host ADDRESS]

The workers are threads of this process, which has imported TFX first (`pipeline.engines.worker`).
Anyone who can reach the port can run any code: open it only to the machines of the engine.
"""

import argparse
from typing import Any

import grpc
import tfx  # noqa: F401
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor


class _Pool(BeamFnExternalWorkerPoolServicer):
    def StopWorker(self, *_: Any) -> beam_fn_api_pb2.StopWorkerResponse:  # noqa: N802
        """Does nothing: a worker ends when its engine disconnects.

        Engine machines that share a pool use the same worker names and would stop the workers of
        other machines.
        """
        return beam_fn_api_pb2.StopWorkerResponse()


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    arguments = parser.parse_args()
    server = grpc.server(
        thread_pool_executor.shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)]
    )
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(_Pool(), server)
    server.add_insecure_port(f"{arguments.host}:{arguments.port}")
    server.start()
    print(f"workers start at {arguments.host}:{arguments.port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
