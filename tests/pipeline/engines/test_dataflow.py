"""Dataflow: a job is written as a template, with all that it needs, and not run."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

from pipeline.engines.arguments import beam_args
from pipeline.engines.guard import environment
from pipeline.engines.options import BeamOptions
from tests.support import stores

_JOB = """
import sys
import tfx.v1
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from components.ingest.beam import Piece
pipeline = beam.Pipeline(options=PipelineOptions(sys.argv[1:]))
_ = (pipeline | beam.Create(["a", "b"]) | beam.Reshuffle()
     | "Check" >> beam.ParDo(Piece("check", "/work", "/source", "")))
pipeline.run()
"""


def test_a_template_is_staged_with_the_job_as_the_engine_is_told(tmp_path: Path) -> None:
    with stores.gcs(tmp_path) as store:
        options = BeamOptions(
            project="test-project",
            region="europe-west4",
            temp_location=f"{store.root}/temp",
            template_location=f"{store.root}/templates/check",
            image="registry/pneumo-tfx:1",
            parallelism=7,
        )
        args = [*beam_args("dataflow", options), "--no_auth", "--job_name=check"]
        done = subprocess.run(
            [sys.executable, "-c", _JOB, *args],
            env={**environment(), **store.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        name = quote("templates/check", safe="")
        url = f"{store.url}/storage/v1/b/{stores.BUCKET}/o/{name}?alt=media"
        job = json.loads(urllib.request.urlopen(url).read())
        listing = json.loads(
            urllib.request.urlopen(f"{store.url}/storage/v1/b/{stores.BUCKET}/o").read()
        )

    settings = job["environment"]["sdkPipelineOptions"]["options"]
    assert settings["project"] == "test-project"
    assert settings["max_num_workers"] == 7
    pools = job["environment"]["workerPools"]
    images = [x["containerImage"] for pool in pools for x in pool["sdkHarnessContainerImages"]]
    assert images == ["registry/pneumo-tfx:1"]
    # The graph itself lies beside the template.
    staged = [item["name"] for item in listing["items"]]
    assert any(name.startswith("temp/staging/") and "pipeline.pb" in name for name in staged)
