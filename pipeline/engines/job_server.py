"""Beam's job server for Flink and Spark: takes Beam's jobs and hands them to the engine."""

import contextlib
import shutil
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pipeline.engines.guard import child, wait_until
from pipeline.engines.options import BeamOptions
from schema.errors import PneumoError
from schema.ports import free_ports, listens

# What Flink and Spark reach into by reflection, which Java 17 forbids unless told otherwise.
OPEN_PACKAGES: Final = (
    "java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio",
    "java.text", "java.time", "java.util", "java.util.concurrent",
    "java.util.concurrent.atomic", "java.util.concurrent.locks", "java.util.regex", "sun.net.util",
    "sun.nio.ch", "sun.nio.cs", "sun.security.action",
)  # fmt: skip
_HEAP_MIB: Final = 512


def java() -> str:
    """The Java program.

    Raises:
      PneumoError: there is none.
    """
    found = shutil.which("java")
    if found is None:
        raise PneumoError(
            "this engine's servers need Java, and no java is on the PATH; install a JRE of version "
            "11 or 17, give beam.job_endpoint of a job server that runs elsewhere, or take "
            "--engine processes"
        )
    return found


def java_command(heap_mib: int) -> list[str]:
    """Java with a bounded heap and the packages opened that Flink and Spark need."""
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPEN_PACKAGES]
    return [java(), f"-Xmx{heap_mib}m", "-XX:+IgnoreUnrecognizedVMOptions", *opened]


def jar_of(kind: Literal["flink", "spark"], options: BeamOptions) -> Path:
    """The job server's jar: as given, or as Beam fetches and keeps it.

    Raises:
      PneumoError: it is not there, or cannot be had.
    """
    if options.job_server_jar is not None:
        given = options.job_server_jar.expanduser()
        if not given.is_file():
            raise PneumoError(f"beam.job_server_jar: no file {given}")
        return given
    from apache_beam.options.pipeline_options import FlinkRunnerOptions
    from apache_beam.utils.subprocess_server import JavaJarServer

    published = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    version = options.flink_version or published[-1]
    if kind == "flink" and version not in published:
        raise PneumoError(
            f"Beam publishes job servers for Flink {', '.join(published)}, not for {version}; give "
            "one of these, or beam.job_server_jar"
        )
    target = f"runners:{kind}:{version if kind == 'flink' else '3'}:job-server:shadowJar"
    jar = JavaJarServer.path_to_beam_jar(target)
    try:
        return Path(JavaJarServer.local_jar(jar))
    except (OSError, RuntimeError) as error:
        why = " ".join(str(_told_by(error)).split())[:120]
        raise PneumoError(
            f"Beam's job server {jar.rsplit('/', 1)[-1]} can't be fetched ({why}); put it "
            "somewhere by hand and name it in beam.job_server_jar"
        ) from None


def _told_by(error: BaseException) -> BaseException:
    """The first answer of the network among the errors that led to this one.

    Beam asks another place in turn, whose answer comes last and says less.
    """
    chain = [error]
    while (before := chain[-1].__context__) is not None:
        chain.append(before)
    asked = [one for one in chain if isinstance(one, urllib.error.URLError)]
    return asked[-1] if asked else error


@contextlib.contextmanager
def job_server(
    kind: Literal["flink", "spark"], options: BeamOptions, master: str, folder: Path
) -> Iterator[str]:
    """A job server on this machine; yields its HOST:PORT.

    Raises:
      PneumoError: no Java, no jar, or it does not start.
    """
    program = java_command(_HEAP_MIB)
    port, log = free_ports(1)[0], folder / "job_server.log"
    address = f"localhost:{port}"
    told = "--flink-master" if kind == "flink" else "--spark-master-url"
    command = [
        *program, "-jar", str(jar_of(kind, options)), told, master,
        "--job-port", str(port), "--artifact-port", "0", "--expansion-port", "0",
        "--artifacts-dir", str(folder / "staged"),
    ]  # fmt: skip
    with child(command, log) as server:
        wait_until(lambda: listens(address), [server], "Beam's job server", log)
        yield address
