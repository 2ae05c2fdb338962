"""Spark for real, inside Beam's job server; `make test-engines` fetches it."""

from pathlib import Path

import pytest

from components.ingest.job import ingest
from components.ingest.options import IngestOptions
from pipeline.engines.local import running
from pipeline.engines.options import BeamOptions
from tests.engines import fetch, fetched

pytestmark = pytest.mark.skipif(
    bool(fetched.missing("spark")), reason=fetched.missing("spark") or "runs"
)


def test_ingest_on_spark_writes_the_same_bytes(tmp_path: Path) -> None:
    from components.phantom.dataset import write_phantoms

    write_phantoms(tmp_path / "images", 200, 0)
    source, options = tmp_path / "images", IngestOptions(images_per_shard=64)
    ingest(source, tmp_path / "direct", options)
    beam = BeamOptions(job_server_jar=fetch.jar_of(fetched.ENGINES, "spark"), parallelism=2)
    with running("spark", beam, tmp_path / "engine") as args:
        ingest(source, tmp_path / "spark", options, beam_args=args)

    expected = {path.name: path.read_bytes() for path in (tmp_path / "direct").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "spark").iterdir()} == expected
