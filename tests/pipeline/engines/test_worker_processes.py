"""Worker processes of the engine `direct` import TFX first."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engines.arguments import beam_args, local_args, parse_engine
from pipeline.engines.options import BeamOptions
from schema.processes import child_environment

_TFDV = """
import apache_beam as beam, sys, tempfile
from apache_beam.options.pipeline_options import PipelineOptions
from tests.support.runs.beam_functions import imports_tfdv
with beam.Pipeline(options=PipelineOptions(sys.argv[1:])) as pipeline:
    _ = pipeline | beam.Create([1]) | beam.Map(imports_tfdv)
"""


MULTI = "--direct_running_mode=multi_processing"


def test_beams_worker_processes_are_replaced_by_ones_that_can_import_tfdv(tmp_path: Path) -> None:
    """Fails in Beam's own worker processes, which do not import TFX first."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise ImportError('another package')")
    args = local_args("direct", BeamOptions(), [MULTI, "--direct_num_workers=1"])
    script = [sys.executable, "-P", "-c", _TFDV, *args]
    environment = child_environment()
    done = subprocess.run(
        script, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("engine", ["direct", "processes"])
@pytest.mark.parametrize("more", [[MULTI], MULTI.split("="), ["--x=1", MULTI]])
def test_running_mode_of_worker_processes(engine: str, more: list[str]) -> None:
    options = BeamOptions(parallelism=2)
    rest = ["--x=1"] if "--x=1" in more else []
    expected = [*beam_args("processes", options), *rest]
    assert local_args(parse_engine(engine), options, more) == expected
    assert MULTI in local_args("portable", options, [MULTI])
    threads = ["--direct_running_mode=multi_threading"]
    assert local_args("direct", BeamOptions(), threads) == threads
