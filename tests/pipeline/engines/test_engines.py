"""Engines: Beam's arguments, what is missing, and the engines of this machine."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from core.ingest.job import ingest
from core.ingest.options import IngestOptions
from pipeline.config import Config
from pipeline.config_file import beam_options
from pipeline.engines.arguments import beam_args, local_args, parse_engine
from pipeline.engines.options import ENGINES, BeamOptions
from schema.errors import PneumoError
from schema.ports import free_ports, is_listening
from schema.processes import child_environment
from tests.support.images.synthetic import gray
from tests.support.stand_ins import stores

SHARDS = IngestOptions(images_per_shard=4)
POOL = {"worker_pool": "127.0.0.1:50000"}
JOBS = {"job_endpoint": "127.0.0.1:8099"}
CLOUD = {"project": "p", "region": "r", "temp_location": "gs://b/t/", "image": "i:1"}


@pytest.mark.parametrize(
    ("engine", "options", "expected", "absent"),
    [
        ("direct", {}, [], "--"),
        ("direct", {"parallelism": 3}, ["--direct_num_workers=3", "multi_threading"], "processing"),
        ("processes", {}, ["--direct_num_workers=2", "ProcessesDirectRunner"], "threading"),
        ("portable", {}, ["PortableRunner", "--job_endpoint=embed", "LOOPBACK"], "EXTERNAL"),
        (
            "portable",
            {**POOL, **JOBS},
            ["--job_endpoint=127.0.0.1:8099", "EXTERNAL", "--environment_config=127.0.0.1:50000"],
            "LOOPBACK",
        ),
        ("flink", {}, ["FlinkRunner", "[local]", "LOOPBACK", "--parallelism=2"], "job_server_jar"),
        ("flink", {**POOL, **JOBS}, ["PortableRunner", "--parallelism=2"], "flink_master"),
        (
            "flink",
            {**POOL, "flink_master": "h:8081", "flink_version": "1.20"},
            ["FlinkRunner", "--flink_master=h:8081", "--flink_version=1.20"],
            "job_endpoint",
        ),
        (
            "flink",
            {"image": "i:1", "job_server_jar": "/x.jar"},
            [
                "--flink_job_server_jar=/x.jar",
                "DOCKER",
                "--environment_config=i:1",
                "--beam_plugin=tfx",
            ],
            "EXT",
        ),
        ("spark", {}, ["SparkRunner", "--spark_master_url=local[2]", "LOOPBACK"], "parallelism"),
        (
            "spark",
            {**POOL, "spark_master": "spark://h:7077"},
            ["--spark_master_url=spark://h:7077", "EXTERNAL"],
            "LOOPBACK",
        ),
        (
            "dataflow",
            CLOUD,
            [
                "DataflowRunner",
                "--project=p",
                "--region=r",
                "--temp_location=gs://b/t",
                "--staging_location=gs://b/t/staging",
                "--sdk_container_image=i:1",
                "--beam_plugin=tfx",
            ],
            "template",
        ),
        (
            "dataflow",
            {**CLOUD, "template_location": "gs://b/x", "parallelism": 9},
            ["--template_location=gs://b/x", "--max_num_workers=9"],
            "direct",
        ),
    ],
)
def test_arguments(engine: str, options: dict[str, Any], expected: list[str], absent: str) -> None:
    args = beam_args(parse_engine(engine), BeamOptions(**options), cores=2)

    assert all(any(part in arg for arg in args) for part in expected), args
    assert not any(absent in arg for arg in args)
    names = [arg.partition("=")[0] for arg in args]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("portable", JOBS, "beam.worker_pool or beam.image"),
        ("flink", JOBS, "beam.worker_pool or beam.image"),
        ("flink", {"flink_master": "h:8081"}, "beam.worker_pool or beam.image"),
        ("spark", {"spark_master": "spark://h:1"}, "beam.worker_pool or beam.image"),
        ("dataflow", {"project": "p"}, "beam.region, beam.temp_location, beam.image"),
        ("portable", {**POOL, "job_endpoint": "127.0.0.1:9"}, "no server at .*beam.job_endpoint"),
        ("flink", {**POOL, "flink_master": "127.0.0.1:9"}, "no server at .*beam.flink_master"),
        ("flink", {}, "needs Java and no java is on the PATH"),
        ("spark", {}, "needs Java and no java is on the PATH"),
    ],
)
def test_missing_prerequisites(
    engine: str, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PneumoError, match=message) as error:
        local_args(parse_engine(engine), BeamOptions(**options))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"job_server_jar": "/nowhere.jar"}, "beam.job_server_jar: no file /nowhere.jar"),
        ({"flink_version": "1.3"}, r"beam.flink_version is 1\.3; Beam has job servers for .*2\.0"),
    ],
)
def test_job_server_that_is_not_available(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "java").write_text("")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PneumoError, match=message):
        local_args("flink", BeamOptions(**options))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["parallelism=0"], "beam.parallelism: .*greater"),
        (["flink_home=/x"], "^--beam-set flink_home=/x: unknown key beam.flink_home; "),
        (["job_endpoint=localhost"], "HOST:PORT"),
        (["worker_pool=h:99999"], "HOST:PORT"),
        (["flink_version=2"], "flink_version"),
        (["flink_version=1.20"], "write it in quotes"),
        (["spark_master=yarn"], "spark://HOST:PORT"),
        (["temp_location=/tmp/x"], "gs://"),
        (["parallelism"], r"^--beam-set takes key=value, such as parallelism=4; not 'parallelism'"),
        (["image=["], r"^--beam-set image=\[: "),
        (["image=i", "image.tag=1"], "^--beam-set image.tag=1: 'image' holds a value"),
    ],
)
def test_invalid_options(pairs: list[str], message: str) -> None:
    with pytest.raises(PneumoError, match=message):
        beam_options(pairs)


def test_unknown_engines() -> None:
    with pytest.raises(PneumoError, match=f"choose one of {', '.join(ENGINES)}"):
        parse_engine("dask")
    with pytest.raises(ValueError, match="local was renamed to direct"):
        Config.model_validate({"name": "x", "engine": "local"})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for i in range(80):  # more than one chunk of work
        path = folder / ("NORMAL", "PNEUMONIA")[i % 2] / f"person{i}_bacteria_{i}.jpeg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(gray(24 + i % 5, 32, i)).save(path)
    return folder


@pytest.fixture(scope="module")
def direct(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return _ingested(images, tmp_path_factory.mktemp("direct") / "records", [])


def _ingested(images: Path, dest: Path, args: list[str]) -> dict[str, bytes]:
    ingest(images, dest, SHARDS, beam_args=args)
    return {path.name: path.read_bytes() for path in dest.iterdir()}


@pytest.mark.parametrize("engine", ["processes", "portable"])
def test_engine_writes_the_same_bytes(
    engine: str, images: Path, direct: dict[str, bytes], tmp_path: Path
) -> None:
    args = local_args(parse_engine(engine), BeamOptions(parallelism=2))
    assert _ingested(images, tmp_path / "records", args) == direct


def test_pool_listens_on_the_loopback_interface(
    images: Path, direct: dict[str, bytes], tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "pipeline.engines.pool", "--port", str(port)]
    pool = subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not is_listening(f"127.0.0.1:{port}") and time.monotonic() < until:
            time.sleep(0.1)
        sockets = [
            line.split()[1]
            for file in ("/proc/net/tcp", "/proc/net/tcp6")
            for line in Path(file).read_text().splitlines()[1:]
            if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        ]
        assert [one.removeprefix(f"{'0' * 16}FFFF0000") for one in sockets] == [
            f"0100007F:{port:04X}"
        ]
        args = local_args("portable", BeamOptions(worker_pool=f"127.0.0.1:{port}"))
        assert _ingested(images, tmp_path / "records", args) == direct
    finally:
        pool.kill()
        pool.wait()


_DATAFLOW = """
import sys
import tfx.v1
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
pipeline = beam.Pipeline(options=PipelineOptions(sys.argv[1:]))
_ = pipeline | beam.Create(["a", "b"]) | beam.Reshuffle() | beam.Map(len)
pipeline.run()
"""


@pytest.mark.slow  # 48 s
def test_dataflow_template(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(stores.gcs(tmp_path))
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
            [sys.executable, "-c", _DATAFLOW, *args],
            env={**child_environment(), **store.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        url = f"{store.url}/storage/v1/b/{stores.BUCKET}/o"
        name = quote("templates/check", safe="")
        job = json.loads(urllib.request.urlopen(f"{url}/{name}?alt=media").read())
        staged = [one["name"] for one in json.loads(urllib.request.urlopen(url).read())["items"]]

    settings = job["environment"]["sdkPipelineOptions"]["options"]
    assert (settings["project"], settings["max_num_workers"]) == ("test-project", 7)
    assert "tfx" in settings["beam_plugins"]
    pools = job["environment"]["workerPools"]
    images = [x["containerImage"] for pool in pools for x in pool["sdkHarnessContainerImages"]]
    assert images == ["registry/pneumo-tfx:1"]
    assert any(one.startswith("temp/staging/") and "pipeline.pb" in one for one in staged)
