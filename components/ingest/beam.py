"""Runs pieces of work through Apache Beam. Import this module only where a job runs."""

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from components.ingest.shards import write_shard
from components.ingest.work import WorkFolder, check_chunk

STEPS: dict[str, Callable[[WorkFolder, Path, str, str], None]] = {
    "check": check_chunk,
    "write": lambda work, source, name, _: write_shard(work, source, name),
}


class Piece(beam.DoFn):
    """Does one piece of work per element.

    Args:
      step: key of STEPS.
      work: folder with the lists and the results.
      source: folder with the images.
      salt: of the keys of patients; it goes with the work and is never written down.
    """

    def __init__(self, step: str, work: str, source: str, salt: str) -> None:
        self._step, self._work, self._source, self._salt = step, work, source, salt

    def setup(self) -> None:
        """Silences Pillow, whose findings end up in rejects.jsonl."""
        warnings.filterwarnings("ignore", module="PIL")
        from PIL import ImageFile

        ImageFile.LOAD_TRUNCATED_IMAGES = False

    def process(self, name: str) -> Iterable[str]:
        """Takes the name of a list; yields nothing."""
        STEPS[self._step](WorkFolder(Path(self._work)), Path(self._source), name, self._salt)
        return ()


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
      step: key of STEPS.
      names: of the lists.
      work: on a file system that all workers share.
      source: likewise.
      args: options of Beam, such as --runner=...; without them the local runner with a thread for
        each core.
      salt: of the keys of patients.
    """
    do = partial(Piece, step, str(work.root), str(source), salt)
    with beam.Pipeline(options=PipelineOptions([*default_args(args), *args])) as pipeline:
        _ = (
            pipeline
            | "Lists" >> beam.Create(names)
            | "Spread" >> beam.Reshuffle()
            | step.title() >> beam.ParDo(do())
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
