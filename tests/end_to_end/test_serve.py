"""The life of `pneumo serve`: start, versions, drain, end."""

import io
import json
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.support.models.small_model import phantoms
from tests.support.runs.processes import pneumo
from tests.support.serving.load import load, push
from tests.support.serving.server import Server, predict_over_rest, running, state, wait_for


def test_from_start_to_end(small_model: Path, tmp_path: Path) -> None:
    images = phantoms(tmp_path, 4)
    image = images[0]
    served, source = tmp_path / "served", small_model / "1"
    shutil.copytree(source, served / "1")
    log = tmp_path / "inputs.jsonl"
    answers: list[Any] = []
    with running(served, "--log-inputs", log, "--log-embeddings", "1") as server:
        expected = predict_over_rest(server, [image])
        _listens_on_loopback_alone(server)
        _health_and_metrics(server)

        with load(server, images) as found:
            # A newer version is loaded; the older one is unloaded.
            push(source, served, 3)
            server.wait("version 3 is served")
            server.wait("version 1 is unloaded")

            # One that cannot be served is left out, with the reason.
            push(source, served, 4, broken=True)
            server.wait("version 4 is not served")
            ended, reason = state(server, 4)
            assert ended == "END"
            assert "variables" in reason
            assert str(tmp_path) not in reason
            assert state(server, 3) == ("AVAILABLE", "")

            # Removing the newest goes back.
            shutil.rmtree(served / "3")
            shutil.rmtree(served / "4")
            server.wait("version 3 is unloaded")
            assert state(server, 1) == ("AVAILABLE", "")
        assert found.failures == []
        assert found.requests.keys() == {"rest", "grpc"}
        assert found.versions == {1, 3}
        assert predict_over_rest(server, [image]) == expected

        # The end waits for requests under way.
        many = [image] * 100
        asking = [
            threading.Thread(target=lambda: answers.append(len(predict_over_rest(server, many))))
            for _ in range(3)
        ]
        for thread in asking:
            thread.start()
        wait_for(lambda: _under_way(server) + len(answers) == 3, 30, "three requests")
        processes = server.tree()
    for thread in asking:
        thread.join(60)
    assert answers == [100] * 3
    assert not psutil.wait_procs(processes, timeout=10)[1]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    with Image.open(io.BytesIO(image)) as opened:
        size = (opened.height, opened.width)
        mean = np.asarray(opened.convert("L")).mean()
    assert (lines[0]["height"], lines[0]["width"]) == size
    assert lines[0]["brightness"] == pytest.approx(mean, abs=0.5)
    assert lines[0]["score"] == pytest.approx(expected[0]["score"])
    assert len(lines[0]["embedding"]) > 1
    assert {line["version"] for line in lines} == {"1", "3"}


def _under_way(server: Server) -> float:
    text = httpx.get(f"{server.rest}/metrics").text
    return float(text.split("\npneumo_under_way ")[1].split()[0])


def _listens_on_loopback_alone(server: Server) -> None:
    connections = [c for p in server.tree() for c in p.net_connections("inet")]
    listening = [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def _health_and_metrics(server: Server) -> None:
    assert httpx.get(f"{server.rest}/healthz").status_code == 200
    assert httpx.get(f"{server.rest}/readyz").status_code == 200
    assert httpx.get(f"{server.rest}/ui/").status_code == 404  # without --ui
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        text = httpx.get(f"{server.rest}{path}").text
        assert 'pneumo_requests_total{code="OK",method="predict",protocol="rest"} 1.0' in text
        assert 'pneumo_version_state{state="AVAILABLE",version="1"} 1.0' in text
        assert "pneumo_model_version 1.0" in text
        assert "pneumo_batch_images_count 1.0" in text


@pytest.mark.parametrize("case", ["nothing there", "no such folder", "REST", "gRPC", "policy"])
def test_what_stops_it_is_one_line(small_model: Path, tmp_path: Path, case: str) -> None:
    folders = {"nothing there": tmp_path, "no such folder": tmp_path / "x"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = pneumo(
            *("serve", "--model-dir", folders.get(case, small_model), "--engine", "builtin"),
            *("--rest-port", port if case == "REST" else "0"),
            *("--grpc-port", port if case == "gRPC" else "0"),
            *(("--version-policy", "newest") if case == "policy" else ()),
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("pneumo: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
