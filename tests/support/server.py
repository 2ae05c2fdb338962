"""Starts `pneumo serve` for a test and ends it again, and asks a server over both protocols."""

import base64
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil

from serving.client import tf_serving_pb2 as pb
from serving.client.tensors import string_tensor

ROOT = Path(__file__).parents[2]
READY = re.compile(r"model (\S+) version (\d+) on (http://\S+) and grpc://([^\s,]+)")
START = 240.0


@dataclass
class Server:
    """A server and its addresses; `process` is none where it was there before."""

    rest: str
    rpc: str
    name: str = "pneumo"
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def model(self) -> str:
        return f"{self.rest}/v1/models/{self.name}"

    def tree(self) -> list[psutil.Process]:
        """The server's process and all below it."""
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def replicas(self) -> list[psutil.Process]:
        found = []
        for process in self.tree():
            try:
                if any("ServeReplica" in part for part in process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def rss(self) -> int:
        """Bytes of all its processes."""
        total = 0
        for process in self.tree():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def text(self) -> str:
        assert self.log is not None
        return self.log.read_text(errors="replace")

    def wait(self, line: str, seconds: float = 120.0) -> None:
        """Waits until the server has said this."""
        wait_for(lambda: line in self.text(), seconds, f"{line!r} in\n{self.text()[-3000:]}")


def wait_for(true: Any, seconds: float, what: str) -> None:
    """Waits until a function answers true.

    Raises:
      AssertionError: it did not in time.
    """
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@contextmanager
def running(model_dir: Path, *options: str | Path, end: float = 60.0) -> Iterator[Server]:
    """`pneumo serve` on free ports; ends with SIGTERM, and must end well."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "serve.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "pipeline.cli", "serve", "--model-dir", str(model_dir),
                    "--engine", "builtin", "--rest-port", "0", "--grpc-port", "0", *map(str, options),
                ],
                stdout=out, stderr=subprocess.STDOUT, cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        server = Server("", "", process=process, log=log)
        try:

            def ready() -> bool:
                assert process.poll() is None, f"ended: {server.text()[-3000:]}"
                return READY.search(server.text()) is not None

            wait_for(ready, START, "the server says that it is ready")
            found = READY.search(server.text())
            assert found is not None
            server.name, _, server.rest, server.rpc = found.groups()
            yield server
            assert process.poll() is None, f"ended by itself: {server.text()[-3000:]}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(end) == 0, server.text()[-3000:]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def rows(images: Sequence[bytes]) -> dict[str, Any]:
    """Body of a predict request in row format."""
    return {"instances": [{"b64": base64.b64encode(image).decode()} for image in images]}


def ask(server: Server, images: Sequence[bytes], client: Any = httpx) -> list[dict[str, Any]]:
    """Predictions over REST."""
    answer = client.post(f"{server.model}:predict", json=rows(images), timeout=120)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def request(server: Server, images: Sequence[bytes], signature: str = "", version: int = 0) -> Any:
    """A PredictRequest."""
    made = pb.PredictRequest()
    made.model_spec.name = server.name
    made.model_spec.signature_name = signature
    if version:
        made.model_spec.version.value = version
    made.inputs["image_bytes"].CopyFrom(string_tensor(images))
    return made


def call(
    channel: grpc.Channel, message: Any, method: str = "PredictionService/Predict",
    timeout: float = 120,
) -> Any:  # fmt: skip
    """One call over gRPC."""
    answer = {
        "PredictionService/Predict": pb.PredictResponse,
        "PredictionService/GetModelMetadata": pb.GetModelMetadataResponse,
        "ModelService/GetModelStatus": pb.GetModelStatusResponse,
    }[method]
    return channel.unary_unary(
        f"/tensorflow.serving.{method}",
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=answer.FromString,
    )(message, timeout=timeout)
