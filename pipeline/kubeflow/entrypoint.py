"""Command of every container of a compiled graph: runs one task.

    python -m pipeline.kubeflow.entrypoint --executor_class_path CLASS
      --json_serialized_invocation_args '{{$}}' --json_serialized_inputs_spec_args TYPES [BEAM ARGS]

The arguments are those of TFX's own entry point, which this one calls. It also applies the
parameters of the graph, copies artifacts between the store and this machine, and runs the driver
of an ExampleGen on platforms that do not (Kubeflow Pipelines).

Exit status: 0 done; 2 wrong input, with a one-line message; 1 any other error.
"""

import argparse
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.kubeflow.container_task import ContainerTask
from schema import storage
from schema.errors import PneumoError, one_line
from schema.ports import bypass_proxy_for_loopback

# Runners whose workers use the file system of this process.
_LOCAL_RUNNERS: Final = ("direct", "fnapirunner", "prism", "switching")
_FINGERPRINT: Final = "input_fingerprint"

log = logging.getLogger("pneumo.task")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one task; returns the exit status.

    Args:
      arguments: command line; None: arguments of the process.
    """
    args, beam_args = _parser().parse_known_args(arguments)
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # TFT asks for it when it is imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    bypass_proxy_for_loopback()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname).1s %(message)s"
    )
    before = signal.signal(signal.SIGTERM, _stop)
    began = time.monotonic()
    try:
        _run(args, beam_args)
    except PneumoError as error:
        log.error("%s: %s", args.executor_class_path, error)
        return 2
    except Exception:
        log.exception("%s failed", args.executor_class_path)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    log.info("%s: done in %.1f s", args.executor_class_path, time.monotonic() - began)
    return 0


def uses_local_files(beam: bool, beam_args: Sequence[str]) -> bool:
    """Returns whether a component can work on copies on this machine.

    Args:
      beam: whether its executor uses Beam.
      beam_args: Beam arguments.
    """
    runner = next(
        (arg.partition("=")[2] for arg in beam_args if arg.startswith("--runner=")), "direct"
    )
    return not beam or any(name in runner.lower() for name in _LOCAL_RUNNERS)


def _run(args: argparse.Namespace, beam_args: list[str]) -> None:
    import tfx  # noqa: F401  before TFDV, which fails when it is imported first
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2 as kfp
    from tfx.components.example_gen import base_example_gen_executor
    from tfx.dsl.components.base import base_beam_executor
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as tfx_entry
    from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver
    from tfx.utils import import_utils

    message, types = kfp.ExecutorInput(), kfp.ComponentInputsSpec()
    for text, target in (
        (args.json_serialized_invocation_args, message),
        (args.json_serialized_inputs_spec_args, types),
    ):
        try:
            json_format.Parse(text, target, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise PneumoError(
                f"an argument is not a {target.DESCRIPTOR.name} ({one_line(error)}); this command "
                "runs in the containers of a compiled graph"
            ) from None
    executor = args.executor_class_path
    kind = import_utils.import_class_by_path(executor)
    local = uses_local_files(issubclass(kind, base_beam_executor.BaseBeamExecutor), beam_args)
    with tempfile.TemporaryDirectory(prefix="pneumo-", ignore_cleanup_errors=True) as scratch:
        task = ContainerTask(message, types, Path(scratch), local)
        if not local:
            _check_reachable(task)
        task.fill_in(executor)
        task.fetch()
        output_uri = message.outputs.output_file
        output = Path(scratch) / Path(output_uri).parent.name / "executor_output.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        if storage.exists(output_uri):  # of a driver that the platform ran
            storage.fetch(output_uri, output)
        message.outputs.output_file = str(output)
        reads_files = issubclass(kind, base_example_gen_executor.BaseExampleGenExecutor)
        driven = output.exists() or _FINGERPRINT in message.inputs.parameter_values
        if reads_files and task.input_base and not driven:
            if not Path(task.input_base).is_dir() and not storage.is_remote(task.input_base):
                raise PneumoError(
                    f"records {task.input_base} do not exist; use a folder that `pneumo ingest` "
                    "wrote"
                )
            driver._run_driver(message, types)
        args.json_serialized_invocation_args = json_format.MessageToJson(message)
        log.info("%s: starts", executor)
        tfx_entry._run_executor(args, beam_args)
        task.upload()
        storage.write_bytes(output_uri, task.with_uris(output.read_text()).encode())


def _check_reachable(task: ContainerTask) -> None:
    """Checks that workers on other machines can read and write the artifacts.

    Raises:
      PneumoError: TFX itself does not read such a store.
    """
    sides = (task.message.inputs.artifacts, task.message.outputs.artifacts)
    artifacts = [
        artifact for side in sides for values in side.values() for artifact in values.artifacts
    ]
    for uri in (*(artifact.uri for artifact in artifacts), task.input_base):
        if storage.is_remote(uri) and not uri.startswith("gs://"):
            raise PneumoError(
                f"{uri}: workers on other machines read only gs:// or a shared folder; set "
                "engine: direct, or use another root"
            )


def _stop(number: int, _: Any) -> None:
    """Raises SystemExit, so that children are stopped and the scratch folder is removed."""
    log.error("stopped by signal %d", number)
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.kubeflow.entrypoint",
        description="Run one task of a compiled graph in its container.",
        allow_abbrev=False,
    )
    parser.add_argument("--executor_class_path", required=True, help="module.Class")
    parser.add_argument("--json_serialized_invocation_args", required=True, help="ExecutorInput")
    parser.add_argument("--json_serialized_inputs_spec_args", default="{}", help="types of inputs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
