"""Engines of this machine, run for real: what comes out, what is left, what is said."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from components.ingest.job import ingest
from components.ingest.options import IngestOptions
from pipeline.engines.guard import child, environment, told, wait_until
from pipeline.engines.local import running, worker_pool
from pipeline.engines.options import BeamOptions
from schema.errors import PneumoError
from schema.ports import free_ports, listens
from tests.support.images import gray

ROOT = Path(__file__).parents[3]
SHARDS = IngestOptions(images_per_shard=4)


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
    dest = tmp_path_factory.mktemp("direct") / "records"
    ingest(images, dest, SHARDS)
    return contents(dest)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def engine_processes(folder: Path) -> Iterator[int]:
    """Children that have a file of the folder open: what was started keeps its log there."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [os.readlink(link) for link in (process / "fd").iterdir()]  # noqa: PTH115
        except OSError:
            continue
        if any(file.startswith(str(folder)) for file in files) and int(process.name) != os.getpid():
            yield int(process.name)


@pytest.mark.parametrize("engine", ["processes", "portable"])
def test_an_engine_writes_what_direct_writes_to_the_byte(
    engine: str, images: Path, direct: dict[str, bytes], tmp_path: Path
) -> None:
    # No `python` on the PATH: the workers take the interpreter that runs this.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        options = BeamOptions(parallelism=2)
        with running(engine, options, tmp_path / "logs") as args:  # type: ignore[arg-type]
            ingest(images, tmp_path / "records", SHARDS, beam_args=args)

    assert contents(tmp_path / "records") == direct
    assert list(engine_processes(tmp_path / "logs")) == []
    if engine == "portable":
        assert "workers are started" in (tmp_path / "logs" / "workers.log").read_text()


def test_nothing_outlives_a_command_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from pipeline.engines.local import running\n"
        "from pipeline.engines.options import BeamOptions\n"
        "with running('portable', BeamOptions(), Path(sys.argv[1])) as args:\n"
        "  print('up', flush=True); time.sleep(600)\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=environment()
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"up\n"
    assert len(list(engine_processes(tmp_path))) >= 2

    started.send_signal(signal.SIGKILL)
    started.wait()
    until = time.monotonic() + 30
    while list(engine_processes(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)

    assert list(engine_processes(tmp_path)) == []
    started.stdout.close()


def test_a_child_that_does_not_listen_to_reason_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engines.guard.STOP_SECONDS", 0.5)
    stubborn = (
        "import signal as s, time; s.signal(15, s.SIG_IGN); print(1, flush=True); time.sleep(9)"
    )
    log = tmp_path / "log"
    with child([sys.executable, "-c", stubborn], log) as one:
        wait_until(lambda: log.read_text() == "1\n", [one], "it", log)

    assert one.returncode == -signal.SIGKILL


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        child([sys.executable, "-c", "raise ValueError('no room')"], log) as one,
        pytest.raises(PneumoError, match=r"it ended with status 1: ValueError: no room \(log: "),
    ):
        wait_until(lambda: False, [one], "it", log)


def test_a_log_without_an_error_is_told_by_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    assert told(log) == f"it said nothing (log: {log})"
    log.write_text("a\nb\n\n")
    assert told(log) == f"b (log: {log})"


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        ("portable", {"job_endpoint": "127.0.0.1:PORT"}, "nothing answers at .*beam.job_endpoint"),
        ("flink", {}, "no java is on the PATH"),
        ("spark", {}, "no java is on the PATH"),
        ("dataflow", {}, "needs beam.project"),
    ],
)
def test_what_is_missing_is_one_line(
    engine: str, options: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("FLINK_HOME", raising=False)
    port = str(free_ports(1)[0])
    filled = BeamOptions(
        worker_pool="127.0.0.1:1", **{k: v.replace("PORT", port) for k, v in options.items()}
    )
    with (
        pytest.raises(PneumoError, match=said) as error,
        running(engine, filled, tmp_path),  # type: ignore[arg-type]
    ):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not shutil.which("java"), reason="needs a java on the PATH")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"flink_master": "127.0.0.1:9", "job_server_jar": __file__}, "9 .beam.flink_master"),
        ({"job_server_jar": "/nowhere.jar"}, "beam.job_server_jar: no file /nowhere.jar"),
        ({"flink_version": "1.3"}, "Beam publishes job servers for Flink .*, not for 1.3"),
        ({"flink_home": "/nowhere", "job_server_jar": __file__}, "/nowhere holds no Flink"),
        # A file that is no jar: Java says so, and the line tells where the log is.
        ({"job_server_jar": __file__}, r"job server ended with status 1: Error: .*\(log: "),
    ],
)
def test_a_job_server_that_cannot_be_had_is_one_line(
    options: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLINK_HOME", raising=False)
    filled = BeamOptions(worker_pool="127.0.0.1:1", **options)  # type: ignore[arg-type]
    with (
        pytest.raises(PneumoError, match=said) as error,
        running("flink", filled, tmp_path),
    ):
        pass
    assert "\n" not in str(error.value)


def test_a_pool_listens_on_the_loopback_interface_alone(tmp_path: Path) -> None:
    with worker_pool(tmp_path) as address:
        port = int(address.split(":")[1])
        sockets = [
            line.split()[1]
            for file in ("/proc/net/tcp", "/proc/net/tcp6")
            for line in Path(file).read_text().splitlines()[1:]
            if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        ]
        # One socket, of 127.0.0.1; gRPC holds it as an IPv6 socket mapped to IPv4.
        assert [one.removeprefix(f"{'0' * 16}FFFF0000") for one in sockets] == [
            f"0100007F:{port:04X}"
        ]
        assert listens(address)
    assert not listens(address)


def test_workers_without_the_file_system_are_one_line(images: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    alone = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
    if subprocess.run([*alone, hidden, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs leave to make a mount namespace (root)")
    port = free_ports(1)[0]
    pool = [sys.executable, "-m", "pipeline.engines.pool", "--port", str(port)]
    log, address = tmp_path / "log", f"127.0.0.1:{port}"
    with child([*alone, str(hidden), *pool], log) as one:
        wait_until(lambda: listens(address), [one], "the pool", log)
        options = BeamOptions(worker_pool=address)
        with (
            running("portable", options, tmp_path / "logs") as args,
            pytest.raises(PneumoError, match=r"do not see .*mount both there") as error,
        ):
            ingest(images, hidden / "records", SHARDS, beam_args=args)
    assert "\n" not in str(error.value)
