"""Beam's pipeline arguments for an engine and its options."""

import argparse
import os
import shutil
from collections.abc import Sequence
from typing import Final

from pipeline.engines.options import ENGINES, BeamOptions, Engine
from schema.errors import PneumoError, one_line, unknown

_THREADS: Final = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_PROCESSES: Final = "pipeline.engines.worker.ProcessesDirectRunner"

# Without an image TFX builds a package of itself that every worker installs. The workers of this
# project run in an environment or image that has everything.
_INSTALLED: Final = "--sdk_container_image=installed"

# Workers that start in a container import TFX first (`pipeline.engines.worker` says why).
_TFX_FIRST: Final = "--beam_plugin=tfx"


def parse_engine(engine: str) -> Engine:
    """Returns the engine of this name.

    Raises:
      PneumoError: there is none.
    """
    for one in ENGINES:
        if engine == one:
            return one
    hint = "; local was renamed to direct" if engine == "local" else ""
    raise PneumoError(unknown("engine", engine, ENGINES) + hint)


def local_args(engine: Engine, options: BeamOptions, more: Sequence[str] = ()) -> list[str]:
    """Checks the prerequisites of an engine on this machine and returns Beam's arguments.

    Args:
      engine: name of the engine.
      options: options of the engine.
      more: additional Beam arguments, which take precedence.

    Raises:
      PneumoError: Java, a file or a server is missing.
    """
    from schema.ports import is_listening

    engine, more = _own_processes(engine, more)
    args = beam_args(engine, options, len(os.sched_getaffinity(0)))
    portable = engine in ("portable", "flink", "spark")
    keys = ("job_endpoint",) if engine != "flink" else ("job_endpoint", "flink_master")
    for key in keys if portable else ():
        address = getattr(options, key)
        if address and not is_listening(address):
            raise PneumoError(f"no server at {address} (beam.{key}); start it or remove the key")
    if engine in ("flink", "spark") and not options.job_endpoint:
        if shutil.which("java") is None:
            raise PneumoError(
                f"engine {engine} needs Java and no java is on the PATH; install Java 11 or 17, or "
                "set beam.job_endpoint to a running job server"
            )
        if options.job_server_jar and not options.job_server_jar.is_file():
            raise PneumoError(f"beam.job_server_jar: no file {options.job_server_jar}")
        if not options.job_server_jar:
            _download_job_server(engine, options, args)
    return [*args, *more]


def _own_processes(engine: Engine, more: Sequence[str]) -> tuple[Engine, list[str]]:
    """Replaces Beam's worker processes by the engine `processes`, whose workers can import TFDV."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--direct_running_mode", nargs="?")
    known, rest = parser.parse_known_args(list(more))
    if engine in ("direct", "processes") and known.direct_running_mode == "multi_processing":
        return "processes", rest
    return engine, list(more)


def _download_job_server(engine: Engine, options: BeamOptions, args: Sequence[str]) -> None:
    """Downloads Beam's job server now, instead of in the middle of a run."""
    from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
    from apache_beam.runners.portability import flink_runner, spark_runner

    versions = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    if engine == "flink" and options.flink_version not in (None, *versions):
        raise PneumoError(
            f"beam.flink_version is {options.flink_version}; Beam has job servers for "
            f"{', '.join(versions)}"
        )
    flink, spark = flink_runner.FlinkJarJobServer, spark_runner.SparkJarJobServer
    server = (flink if engine == "flink" else spark)(PipelineOptions(list(args)))
    try:
        server.local_jar(server.path_to_jar())
    except (OSError, RuntimeError, ValueError) as error:
        reason = one_line(error).partition(". ")[0]
        raise PneumoError(f"{reason}; set beam.job_server_jar to the file") from None


def beam_args(engine: Engine, options: BeamOptions, cores: int = 1) -> list[str]:
    """Returns Beam's arguments for an engine.

    Args:
      engine: name of the engine.
      options: options of the engine.
      cores: number of workers if `options.parallelism` is not set.

    Raises:
      PneumoError: a required option is missing.
    """
    workers = options.parallelism or cores
    number = f"--direct_num_workers={workers}"
    match engine:
        case "direct":
            # Default: ingest uses a thread for each core, the components one thread, as in TFX.
            threads = [f"--runner={_THREADS}", "--direct_running_mode=multi_threading", number]
            return [*threads, _INSTALLED] if options.parallelism else []
        case "processes":
            return [f"--runner={_PROCESSES}", number, _INSTALLED]
        case "dataflow":
            return _dataflow(options)
        case "portable":
            endpoint = options.job_endpoint or "embed"  # Beam's job service in this process
            return [*_job_server(endpoint), *_workers(options, local=endpoint == "embed")]
        case "flink":
            runner = _job_server(options.job_endpoint) or [
                "--runner=FlinkRunner",
                f"--flink_master={options.flink_master or '[local]'}",
                *_flags(flink_job_server_jar=options.job_server_jar),
                *_flags(flink_version=options.flink_version),
            ]
            local = not (options.job_endpoint or options.flink_master)
            return [*runner, f"--parallelism={workers}", *_workers(options, local)]
        case "spark":
            master = options.spark_master or f"local[{workers}]"
            runner = _job_server(options.job_endpoint) or [
                "--runner=SparkRunner",
                f"--spark_master_url={master}",
                *_flags(spark_job_server_jar=options.job_server_jar),
            ]
            local = not options.job_endpoint and master.startswith("local")
            return [*runner, *_workers(options, local)]


def _flags(**values: object) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items() if value is not None]


def _job_server(endpoint: str | None) -> list[str]:
    if endpoint is None:
        return []
    return ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--job_server_timeout=60"]


def _workers(options: BeamOptions, local: bool) -> list[str]:
    """Returns the arguments of the Python workers: containers, a pool, or threads."""
    if options.image:
        docker = ["--environment_type=DOCKER", f"--environment_config={options.image}"]
        return [*docker, f"--sdk_container_image={options.image}", _TFX_FIRST]
    if options.worker_pool:
        pool = f"--environment_config={options.worker_pool}"
        return ["--environment_type=EXTERNAL", pool, _INSTALLED]
    if not local:
        raise PneumoError("the engine's Python workers need beam.worker_pool or beam.image")
    return ["--environment_type=LOOPBACK", _INSTALLED]


def _dataflow(options: BeamOptions) -> list[str]:
    needed = ("project", "region", "temp_location", "image")
    missing = [f"beam.{name}" for name in needed if not getattr(options, name)]
    if missing:
        raise PneumoError(f"engine dataflow needs {', '.join(missing)}")
    temp = str(options.temp_location).rstrip("/")
    return [
        "--runner=DataflowRunner",
        f"--project={options.project}",
        f"--region={options.region}",
        f"--temp_location={temp}",
        f"--staging_location={options.staging_location or f'{temp}/staging'}",
        f"--sdk_container_image={options.image}",
        "--experiments=use_runner_v2",
        _TFX_FIRST,
        *_flags(max_num_workers=options.parallelism),
        *_flags(template_location=options.template_location),
        *_flags(service_account_email=options.service_account),
    ]
