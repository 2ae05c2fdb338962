"""Engine and options to Beam's arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Config, beam_options
from pipeline.engines.arguments import beam_args, known
from pipeline.engines.options import ENGINES, BeamOptions
from schema.errors import PneumoError

POOL = {"worker_pool": "127.0.0.1:50000"}
JOBS = {"job_endpoint": "127.0.0.1:8099"}
CLOUD = {"project": "p", "region": "r", "temp_location": "gs://b/t/", "image": "i:1"}


@pytest.mark.parametrize(
    ("engine", "options", "expected", "absent"),
    [
        ("direct", {}, [], "--"),
        ("direct", {"parallelism": 3}, ["--direct_num_workers=3", "multi_threading"], "processing"),
        ("processes", {}, ["--direct_num_workers=2", "multi_processing"], "threading"),
        ("processes", {"parallelism": 5}, ["--direct_num_workers=5"], "job_endpoint"),
        ("portable", {**POOL, **JOBS}, ["PortableRunner", "127.0.0.1:8099", "EXTERNAL",
                                        "--environment_config=127.0.0.1:50000"], "parallelism"),
        ("flink", {**POOL, **JOBS}, ["PortableRunner", "--parallelism=2"], "flink_master"),
        ("flink", {**POOL, "flink_master": "h:8081", "flink_version": "1.20"},
         ["FlinkRunner", "--flink_master=h:8081", "--flink_version=1.20"], "job_endpoint"),
        ("flink", {"image": "i:1", "job_server_jar": "/x.jar"},
         ["--flink_job_server_jar=/x.jar", "DOCKER", "--environment_config=i:1", "[local]"], "EXT"),
        ("spark", {**POOL, "spark_master": "spark://h:7077"},
         ["SparkRunner", "--spark_master_url=spark://h:7077"], "flink"),
        ("spark", POOL, ["--spark_master_url=local[2]"], "--parallelism"),
        ("dataflow", CLOUD, ["DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://b/t",
                             "--staging_location=gs://b/t/staging", "--sdk_container_image=i:1"],
         "template"),
        ("dataflow", {**CLOUD, "template_location": "gs://b/x", "parallelism": 9},
         ["--template_location=gs://b/x", "--max_num_workers=9"], "direct"),
    ],
)  # fmt: skip
def test_arguments(engine: str, options: dict[str, str], expected: list[str], absent: str) -> None:
    args = beam_args(known(engine), BeamOptions(**options), cores=2)

    assert all(any(part in arg for arg in args) for part in expected), args
    assert not any(absent in arg for arg in args)


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        ("portable", POOL, "beam.job_endpoint"),
        ("portable", JOBS, "beam.worker_pool or beam.image"),
        ("flink", JOBS, "beam.worker_pool or beam.image"),
        ("dataflow", {"project": "p"}, "beam.region, beam.temp_location, beam.image"),
    ],
)
def test_what_is_missing_is_named(engine: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(PneumoError, match=said):
        beam_args(known(engine), BeamOptions(**options))


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["parallelism=0"], "beam.parallelism: .*greater"),
        (["parallel=2"], "unknown key parallel"),
        (["job_endpoint=localhost"], "HOST:PORT"),
        (["worker_pool=h:99999"], "HOST:PORT"),
        (["flink_master=http://h:8081"], "HOST:PORT"),
        (["flink_version=2"], "flink_version"),
        (["flink_version=1.20"], "write it in quotes"),
        (["spark_master=yarn"], "spark://HOST:PORT"),
        (["temp_location=/tmp/x"], "gs://"),
    ],
)
def test_a_wrong_option_is_one_line(pairs: list[str], said: str) -> None:
    with pytest.raises(PneumoError, match=said) as error:
        beam_options(pairs)
    assert "\n" not in str(error.value)


def test_an_unknown_engine_is_told_the_known_ones() -> None:
    with pytest.raises(PneumoError, match="choose one of direct, processes"):
        known("dask")


def test_the_old_name_of_direct_is_explained() -> None:
    with pytest.raises(ValueError, match="local is called direct now"):
        Config.model_validate({"name": "x", "engine": "local"})


@given(st.sampled_from(ENGINES), st.integers(1, 64), st.integers(1, 64))
def test_every_engine_is_told_the_number_of_workers_once(engine: str, n: int, cores: int) -> None:
    options = BeamOptions(**POOL, **JOBS, **CLOUD | {"image": None}, parallelism=n)
    if engine == "dataflow":
        options = options.model_copy(update={"image": "i"})
    args = beam_args(known(engine), options, cores)

    names = [arg.split("=", 1)[0] for arg in args]
    assert len(names) == len(set(names))
    told = [arg for arg in args if arg.split("=")[0] in
            ("--parallelism", "--direct_num_workers", "--max_num_workers")]  # fmt: skip
    # The job servers of the others are started with the number.
    assert [arg.endswith(f"={n}") for arg in told] == [True] * (engine not in ("portable", "spark"))
