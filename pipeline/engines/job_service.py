"""Beam's local job service with as many workers for a job as it is told.

    python -m pipeline.engines.job_service PORT WORKERS

Beam's own main program of it gives every job one worker.
"""

import signal
import sys
import threading
from typing import Any

from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner


class Job(local_job_service.BeamJob):
    """A job whose stages are divided among several workers."""

    workers = 1

    def _invoke_runner(self) -> Any:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
        runner._num_workers = self.workers  # set from options only where the pipeline is at hand
        return runner.run_via_runner_api(self._pipeline_proto, self.pipeline_options())


def main() -> None:
    """Serves until SIGTERM."""
    port, Job.workers = int(sys.argv[1]), int(sys.argv[2])
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    service = local_job_service.LocalJobServicer(beam_job_type=Job)
    service.start_grpc_server(port)
    print(f"jobs are taken at port {port}", flush=True)
    done.wait()
    service.stop()


if __name__ == "__main__":
    main()
