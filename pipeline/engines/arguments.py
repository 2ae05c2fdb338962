"""Engine and options -> Beam's own arguments. Pure: nothing is started, nothing is looked up."""

from typing import Final, Literal

from pipeline.engines.options import ENGINES, BeamOptions, Engine
from schema.errors import PneumoError

RUNNER: Final = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"

# Without a word on where the workers' packages come from, TFX packs itself and has every worker of
# every node install that. The workers here run in the environment, or the image, that has it all.
_INSTALLED: Final = "--sdk_container_image=installed"

# A worker is kept from one stage of a job to the next; it takes seconds to start one.
_KEPT_MS: Final = 600_000


def known(engine: str) -> Engine:
    """The engine of this name.

    Raises:
      PneumoError: there is none.
    """
    for one in ENGINES:
        if engine == one:
            return one
    hint = "; local is called direct now" if engine == "local" else ""
    raise PneumoError(f"no engine {engine!r}; choose one of {', '.join(ENGINES)}{hint}")


def beam_args(engine: Engine, options: BeamOptions, cores: int = 1) -> list[str]:
    """Beam's arguments for an engine; those that a user gives with --beam-arg come after them.

    Args:
      engine: which.
      options: with the addresses of everything that the engine needs, started or given.
      cores: workers of `processes` and subtasks of the rest, where options.parallelism is not
        given.

    Raises:
      PneumoError: the engine needs what the options do not tell.
    """
    workers = options.parallelism or cores
    if engine == "direct":
        # Ingest takes a thread for each core; the components keep what TFX takes: one thread.
        return _local("multi_threading", workers) if options.parallelism else []
    if engine == "processes":
        return _local("multi_processing", workers)
    if engine == "dataflow":
        return _dataflow(options)
    return [*_runner(engine, options, workers), *_workers(options)]


def _runner(
    engine: Literal["portable", "flink", "spark"], options: BeamOptions, workers: int
) -> list[str]:
    spread = [f"--parallelism={workers}"] if engine == "flink" else []
    if engine != "portable":
        spread.append(f"--environment_cache_millis={_KEPT_MS}")
    if options.job_endpoint:
        # Beam waits five minutes for a server that does not answer; one that is there does at once.
        server = [f"--job_endpoint={options.job_endpoint}", "--job_server_timeout=60"]
        return ["--runner=PortableRunner", *server, *spread]
    if engine == "portable":
        raise PneumoError("engine portable needs beam.job_endpoint, as 127.0.0.1:8099")
    if options.job_server_jar:
        spread.append(f"--{engine}_job_server_jar={options.job_server_jar}")
    if engine == "spark":
        master = options.spark_master or f"local[{workers}]"
        return ["--runner=SparkRunner", f"--spark_master_url={master}", *spread]
    if options.flink_version:
        spread.append(f"--flink_version={options.flink_version}")
    master = options.flink_master or "[local]"
    return ["--runner=FlinkRunner", f"--flink_master={master}", *spread]


def _local(mode: str, workers: int) -> list[str]:
    number = f"--direct_num_workers={workers}"
    return [f"--runner={RUNNER}", f"--direct_running_mode={mode}", number, _INSTALLED]


def _workers(options: BeamOptions) -> list[str]:
    if options.image:
        docker = ["--environment_type=DOCKER", f"--environment_config={options.image}"]
        return [*docker, f"--sdk_container_image={options.image}"]
    if not options.worker_pool:
        raise PneumoError("the engine's Python workers need beam.worker_pool or beam.image")
    pool = ["--environment_type=EXTERNAL", f"--environment_config={options.worker_pool}"]
    return [*pool, _INSTALLED]


def _dataflow(options: BeamOptions) -> list[str]:
    needed = ("project", "region", "temp_location", "image")
    missing = [f"beam.{name}" for name in needed if not getattr(options, name)]
    if missing:
        raise PneumoError(f"engine dataflow needs {', '.join(missing)}")
    temp = str(options.temp_location).rstrip("/")
    args = [
        "--runner=DataflowRunner",
        f"--project={options.project}",
        f"--region={options.region}",
        f"--temp_location={temp}",
        f"--staging_location={options.staging_location or f'{temp}/staging'}",
        f"--sdk_container_image={options.image}",
        "--experiments=use_runner_v2",
    ]
    if options.parallelism:
        args.append(f"--max_num_workers={options.parallelism}")
    if options.template_location:
        args.append(f"--template_location={options.template_location}")
    if options.service_account:
        args.append(f"--service_account_email={options.service_account}")
    return args
