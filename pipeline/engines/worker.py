"""Beam's Python workers as processes, with TFX imported first.

TFX replaces a module of tfx_bsl that no wheel has; TensorFlow Data Validation cannot be imported
before that. A worker imports what the functions of a stage refer to, in any order.
"""

import shlex
import sys

import tfx  # noqa: F401
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import sdk_worker_main
from apache_beam.transforms.environments import SubprocessSDKEnvironment


class ProcessesDirectRunner(FnApiRunner):
    """Beam's local runner with `--direct_num_workers` processes of this module.

    Replaces `--direct_running_mode=multi_processing`, whose workers do not import TFX first.
    """

    def __init__(self) -> None:
        # -P: a folder `pipeline` in the working directory does not hide this package.
        command = f"{shlex.quote(sys.executable)} -P -m pipeline.engines.worker"
        super().__init__(SubprocessSDKEnvironment.from_command_string(command))


if __name__ == "__main__":
    sdk_worker_main.main(sys.argv)
