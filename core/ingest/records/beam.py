"""Runs the two passes on Apache Beam. Import this module only where a job runs."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from core.ingest.records.chunks import check_chunk
from core.ingest.records.shards import write_shard
from core.ingest.records.work_folder import WorkFolder


def _run_task(name: str, step: str, work: WorkFolder, source: str, salt: str) -> None:
    """Checks the chunk or writes the shard whose list has this name."""
    from PIL import ImageFile

    warnings.filterwarnings("ignore", module="PIL")  # errors are reported in rejects.jsonl
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    if step == "check":
        check_chunk(work, source, name, salt)
    else:
        write_shard(work, source, name)


def run(
    step: str,
    names: Sequence[str],
    work: WorkFolder,
    source: Path,
    args: Sequence[str],
    salt: str = "",
) -> None:
    """Runs all tasks of a pass and waits for them.

    Args:
      step: check or write.
      names: of the lists.
      work: on a file system that all workers share.
      source: folder of images, on such a file system too.
      args: options of Beam, such as --runner=...; by default the local runner with a thread per
        core.
      salt: of patient keys; passed to the workers and never written to disk.
    """
    with beam.Pipeline(options=PipelineOptions([*default_args(args), *args])) as pipeline:
        _ = (
            pipeline
            | "Lists" >> beam.Create(names)
            | "Spread" >> beam.Reshuffle()
            | step.title() >> beam.Map(_run_task, step, work, str(source), salt)
        )


def default_args(args: Sequence[str]) -> list[str]:
    """Returns options for what the user does not set.

    The full name of the runner is needed: DirectRunner first tries to download another one.
    """
    names = {arg.split("=", 1)[0] for arg in args}
    defaults = []
    if "--runner" not in names:
        defaults.append("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    elif not any(arg.endswith(("DirectRunner", "FnApiRunner")) for arg in args):
        return []  # another engine, without these options
    if not names & {"--direct_running_mode", "--direct_num_workers"}:
        workers = len(os.sched_getaffinity(0))
        defaults += ["--direct_running_mode=multi_threading", f"--direct_num_workers={workers}"]
    return defaults
