"""Flink and Spark inside Beam's job servers, which `make test-engines` downloads."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from core.ingest.job import ingest
from core.ingest.options import IngestOptions
from core.phantom.dataset import write_phantoms
from pipeline.engines.arguments import local_args, parse_engine
from pipeline.engines.options import BeamOptions
from tests.support.runs.processes import metrics, pneumo

ENGINES = Path(os.environ.get("PNEUMO_ENGINES", "/nowhere"))
CONFIG = """
name: engines
model: {backbone: MobileNet, weights: random, image_size: 64}
training: {epochs: 1, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
serving: {infra_validation: savedmodel}
"""
pytestmark = pytest.mark.skipif(not ENGINES.is_dir(), reason="runs with `make test-engines`")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, 200, 0)
    return folder


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_ingest_writes_the_same_bytes(engine: str, images: Path, tmp_path: Path) -> None:
    options = IngestOptions(images_per_shard=64)
    beam = BeamOptions(job_server_jar=ENGINES / f"{engine}.jar", parallelism=2)
    for name, args in (("direct", []), (engine, local_args(parse_engine(engine), beam))):
        ingest(images, tmp_path / name, options, beam_args=args)

    expected = {path.name: path.read_bytes() for path in (tmp_path / "direct").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / engine).iterdir()} == expected


def test_run_on_flink_has_the_same_results(images: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = ["--config", tmp_path / "config.yaml", "--data", images]
    jar = ["--set", f"beam.job_server_jar={ENGINES / 'flink.jar'}"]
    found: dict[str, Any] = {}
    for name, more in (("direct", []), ("flink", ["--set", "beam.parallelism=2", *jar])):
        pneumo("run", *options, "--workdir", tmp_path / name, "--engine", name, *more)
        found[name] = metrics(tmp_path / name)["metrics"]

    assert json.dumps(found["flink"], sort_keys=True) == json.dumps(found["direct"], sort_keys=True)
