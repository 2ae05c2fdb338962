"""Runs pieces of work through Apache Beam. Import this module only where a job runs."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from core.ingest.records.shards import write_shard
from core.ingest.records.work import WorkFolder, check_chunk


def _do(name: str, step: str, work: WorkFolder, source: Path, salt: str) -> None:
    """Does the piece of work whose list has this name."""
    from PIL import ImageFile

    warnings.filterwarnings("ignore", module="PIL")  # its findings end up in rejects.jsonl
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
    """Does all the pieces and waits for them.

    Args:
      step: check or write.
      names: of the lists.
      work: on a file system that all workers share.
      source: likewise.
      args: options of Beam, such as --runner=...; without them the local runner with a thread for
        each core.
      salt: of the keys of patients; it goes with the work and is never written down.
    """
    with beam.Pipeline(options=PipelineOptions([*default_args(args), *args])) as pipeline:
        _ = (
            pipeline
            | "Lists" >> beam.Create(names)
            | "Spread" >> beam.Reshuffle()
            | step.title() >> beam.Map(_do, step, work, source, salt)
        )


def default_args(args: Sequence[str]) -> list[str]:
    """Options that stand where the user gives none.

    The runner is named in full because plain DirectRunner first tries to download another one.
    """
    given = {arg.split("=", 1)[0] for arg in args}
    defaults = []
    if "--runner" not in given:
        defaults.append("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    elif not any(arg.endswith(("DirectRunner", "FnApiRunner")) for arg in args):
        return []  # another engine, which knows nothing of threads here
    if not given & {"--direct_running_mode", "--direct_num_workers"}:
        workers = len(os.sched_getaffinity(0))
        defaults += ["--direct_running_mode=multi_threading", f"--direct_num_workers={workers}"]
    return defaults
