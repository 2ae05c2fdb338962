"""The life of `pneumo serve`: start, versions, loss of a replica, drain, end, sudden death."""

import io
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from schema.errors import PneumoError
from serving.server.afterwards import MARK, left
from tests.support.runs import pneumo
from tests.support.server import Server, ask, running, wait_for
from tests.support.small_model import phantoms


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return phantoms(tmp_path_factory.mktemp("image"), 1)[0]


def state(server: Server, version: int) -> tuple[str, str]:
    answer = httpx.get(f"{server.model}/versions/{version}", timeout=30)
    if answer.status_code == 404:
        return "", ""
    told = answer.json()["model_version_status"][0]
    return told["state"], told["status"]["error_message"]


def push(folder: Path, number: int, source: Path) -> None:
    shutil.copytree(source, folder / ".making")
    (folder / ".making").rename(folder / str(number))


def test_from_start_to_end(small_model: Path, tmp_path: Path, image: bytes) -> None:
    served = tmp_path / "served"
    shutil.copytree(small_model / "1", served / "1")
    log = tmp_path / "inputs.jsonl"
    with running(served, "--ui", "--log-inputs", log, "--log-embeddings", "1") as server:
        expected = ask(server, [image])
        _listens_on_loopback_alone(server)
        _health_and_metrics(server)

        # A newer version is taken up; the older gives way.
        push(served, 3, small_model / "1")
        server.wait("version 3 is served")
        wait_for(lambda: state(server, 1)[0] == "END", 60, "the end of version 1")
        assert ask(server, [image]) == expected

        # One that cannot be served is not, and says why.
        broken = served / ".making"
        shutil.copytree(small_model / "1", broken)
        shutil.rmtree(broken / "variables")
        broken.rename(served / "4")
        server.wait("version 4 is not served")
        told, why = state(server, 4)
        assert told == "END"
        assert "variables" in why
        assert str(tmp_path) not in why
        assert state(server, 3) == ("AVAILABLE", "")
        assert ask(server, [image]) == expected

        # Removing the newest goes back.
        shutil.rmtree(served / "3")
        shutil.rmtree(served / "4")
        wait_for(lambda: state(server, 1)[0] == "AVAILABLE", 120, "version 1 again")
        wait_for(lambda: state(server, 3)[0] == "END", 60, "the end of version 3")
        assert ask(server, [image]) == expected

        # A replica that dies is replaced, and the request waits for it.
        (replica,) = server.replicas()
        replica.send_signal(signal.SIGKILL)
        assert ask(server, [image]) == expected
        (again,) = server.replicas()
        assert again.pid != replica.pid
        processes = server.tree()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive
    lines = [httpx.Response(200, content=line).json() for line in log.read_bytes().splitlines()]
    assert len(lines) == 5
    with Image.open(io.BytesIO(image)) as opened:
        size = (opened.height, opened.width)
        mean = np.asarray(opened.convert("L")).mean()
    for line in lines:
        assert set(line) >= {
            "time", "version", "height", "width", "brightness", "score", "decision", "status",
        }  # fmt: skip
        assert (line["height"], line["width"]) == size
        assert line["brightness"] == pytest.approx(mean, abs=0.5)
        assert line["score"] == pytest.approx(expected[0]["score"])
    assert {line["version"] for line in lines} == {"1", "3"}
    # The replica was lost while it computed one of them, perhaps.
    assert sum(len(line.get("embedding", [])) > 1 for line in lines) >= 4


def _listens_on_loopback_alone(server: Server) -> None:
    found = 0
    for process in server.tree():
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                address = connection.laddr.ip.removeprefix("::ffff:")
                assert address in ("127.0.0.1", "::1"), (process.cmdline(), connection)
                found += 1
    assert found > 4


def _health_and_metrics(server: Server) -> None:
    assert httpx.get(f"{server.rest}/healthz").status_code == 200
    assert httpx.get(f"{server.rest}/readyz").status_code == 200
    about = httpx.get(f"{server.rest}/ui/about.json").json()
    assert about["version"] == "1"
    assert "not a medical device" in about["notice"]
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        text = httpx.get(f"{server.rest}{path}").text
        assert 'pneumo_requests_total{code="OK",method="predict",protocol="rest"} 1.0' in text
        assert 'pneumo_version_state{state="AVAILABLE",version="1"} 1.0' in text
        assert "pneumo_model_version 1.0" in text
        assert "pneumo_batch_images_count 1.0" in text


def test_the_end_waits_for_requests_and_a_sudden_death_leaves_nothing(
    small_model: Path, image: bytes
) -> None:
    answers: list[Any] = []
    with running(small_model, "--drain-seconds", "60") as server:
        many = [image] * 100
        asking = [
            threading.Thread(target=lambda: answers.append(len(ask(server, many))))
            for _ in range(3)
        ]
        for thread in asking:
            thread.start()
        wait_for(
            lambda: "pneumo_under_way 3.0" in httpx.get(f"{server.rest}/metrics").text
            or len(answers) == 3,
            30, "three requests under way",
        )  # fmt: skip
    for thread in asking:
        thread.join(60)
    assert answers == [100, 100, 100]

    with pytest.raises(AssertionError, match="ended by itself"), running(small_model) as server:
        processes = server.tree()
        assert len(processes) > 4
        folder = next(value for process in processes[1:] if (value := process.environ().get(MARK)))
        assert Path(folder).is_dir()
        rays = {process.pid for process in processes if "python" not in process.name()}
        assert rays <= set(left(folder))
        processes[0].kill()
        processes[0].wait()
        _, alive = psutil.wait_procs(processes, timeout=15)
        assert not alive, alive
        wait_for(lambda: not Path(folder).exists(), 15, f"{folder} is removed")
        time.sleep(0.1)


@pytest.mark.parametrize("case", ["nothing there", "no such folder", "port in use", "policy"])
def test_what_stops_it_is_one_line(small_model: Path, tmp_path: Path, case: str) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        folder = {"nothing there": tmp_path, "no such folder": tmp_path / "x"}.get(
            case, small_model
        )
        port = taken.getsockname()[1] if case == "port in use" else 0
        more = ["--version-policy", "newest"] if case == "policy" else []
        done = pneumo(
            "serve", "--model-dir", folder, "--engine", "builtin", "--rest-port", str(port), *more,
            check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("pneumo: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_policy_says_what_it_takes() -> None:
    from serving.server.versions import Policy

    with pytest.raises(PneumoError, match="latest:N"):
        Policy.parse("latest:0")
