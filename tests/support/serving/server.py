"""Starts `pneumo serve` for a test and ends it again; sends requests over both protocols."""

import base64
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil

ROOT = Path(__file__).parents[3]
READY = re.compile(r"model (\S+) version (\d+) on (http://\S+) and grpc://([^\s,]+)")
START = 240.0
# Of the server that tests share: small enough to be exceeded.
LIMITS = ("--ui", "--slow-seconds", "4", "--max-images", "8", "--max-requests", "6")


@dataclass
class Server:
    """A server and its addresses; `process` is None if it was not started here."""

    rest: str
    rpc: str
    name: str = "pneumo"
    process: subprocess.Popen[bytes] | None = None
    log: Path = Path(os.devnull)

    @property
    def model(self) -> str:
        return f"{self.rest}/v1/models/{self.name}"

    def tree(self) -> list[psutil.Process]:
        """The server's process and its children."""
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def rss(self) -> int:
        """Bytes of the server's process."""
        return int(self.tree()[0].memory_info().rss)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, line: str, seconds: float = 120.0) -> None:
        """Waits until the server has printed this."""
        wait_for(lambda: line in self.text(), seconds, line)


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """Waits until a condition holds; AssertionError if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@contextmanager
def running(model_dir: Path, *options: str | Path, end: float = 60.0) -> Iterator[Server]:
    """`pneumo serve` on free ports; ends with SIGTERM, and must exit with 0."""
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--model-dir", str(model_dir)]
    command += ["--engine", "builtin", "--rest-port", "0", "--grpc-port", "0", *map(str, options)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "serve.log"
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=env)
        server = Server("", "", process=process, log=log)

        def ready() -> bool:
            assert process.poll() is None, f"ended: {server.text()[-3000:]}"
            return READY.search(server.text()) is not None

        try:
            wait_for(ready, START, "the server is ready")
            found = READY.search(server.text())
            assert found is not None
            server.name, _, server.rest, server.rpc = found.groups()
            yield server
            assert ready()
            process.send_signal(signal.SIGTERM)
            assert process.wait(end) == 0, server.text()[-3000:]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def rows(images: Sequence[bytes]) -> dict[str, Any]:
    """Body of a predict request in row format."""
    return {"instances": [{"b64": base64.b64encode(image).decode()} for image in images]}


def predict_over_rest(
    server: Server, images: Sequence[bytes], client: Any = httpx
) -> list[dict[str, Any]]:
    """Predictions over REST."""
    answer = client.post(f"{server.model}:predict", json=rows(images), timeout=120)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def state(server: Server, version: int) -> tuple[str, str]:
    """State of a version and its error message; empty if it is not known."""
    answer = httpx.get(f"{server.model}/versions/{version}", timeout=60)
    if answer.status_code == 404:
        return "", ""
    found = answer.json()["model_version_status"][0]
    return found["state"], found["status"]["error_message"]


def request(
    name: str, images: Sequence[bytes], signature: str = "", version: int | None = None
) -> Any:
    """A PredictRequest."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    message = predict_pb2.PredictRequest()
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.value = version
    message.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(list(images), tf.string))
    return message


def predict_over_grpc(channel: grpc.Channel, message: Any, timeout: float = 120) -> Any:
    """PredictionService.Predict."""
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return stub.Predict(message, timeout=timeout)


def grpc_error_code(channel: grpc.Channel, message: Any, timeout: float = 60) -> grpc.StatusCode:
    """The status code of a Predict call that fails."""
    try:
        predict_over_grpc(channel, message, timeout)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    raise AssertionError("it was answered")
