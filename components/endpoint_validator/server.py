"""Starts a server in a process of its own, asks it, stops it."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from components.endpoint_validator.verdict import Columns, NoAnswer
from schema.ports import DIRECT, LOOPBACK, free_ports
from schema.processes import end, environment

NAME = "pneumo"
VERSION = "1"
STARTUP_SECONDS = 300.0  # as TFX's InfraValidator
ANSWER_SECONDS = 120.0
STOP_SECONDS = 30.0
_TRIES = 3  # with other ports, where one was taken meanwhile


def version_folder(model: Path, base: Path) -> Path:
    """Makes `base/1`, the candidate as a server expects it; links where the disk allows it."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    return Path(shutil.copytree(model, base / VERSION, copy_function=link))


@contextlib.contextmanager
def process(arguments: Sequence[str], log: Path, **pipes: Any) -> Iterator[subprocess.Popen[str]]:
    """Runs a module of this project as a child with a session of its own, and ends it.

    The child is asked to stop; what is left of its session after 30 seconds is killed.
    """
    with log.open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stderr=errors,
            text=True,
            start_new_session=True,
            env=environment(TF_CPP_MIN_LOG_LEVEL="2"),
            **pipes,
        )
    try:
        yield child
    finally:
        end(child, STOP_SECONDS)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [x.strip() for x in log.read_text(errors="replace").splitlines() if x.strip()]
    return lines[-1][:300] if lines else "it said nothing"


class Endpoint:
    """A server of one model, as TF Serving's clients see it."""

    def __init__(self, rest: str, grpc_address: str) -> None:
        self.rest, self.grpc_address = rest, grpc_address

    def get(self, path: str) -> dict[str, Any]:
        """A GET of the REST door.

        Raises:
          NoAnswer: the status is not 200, or the body is no JSON object.
        """
        return self._json(urllib.request.Request(self.rest + path))

    def ask_rest(self, images: Sequence[bytes]) -> Columns:
        """Sends images as TF Serving's row format asks; see `get` for errors."""
        body = {
            "signature_name": "serving_default",
            "instances": [
                {"image_bytes": {"b64": base64.b64encode(image).decode()}} for image in images
            ],
        }
        answer = self._json(
            urllib.request.Request(
                f"{self.rest}/v1/models/{NAME}:predict",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
        )
        rows = answer.get("predictions")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise NoAnswer("the REST answer has no list of predictions")
        return {key: [row.get(key) for row in rows] for key in (rows[0] if rows else ())}

    def ask_grpc(self, images: Sequence[bytes]) -> Columns:
        """Sends images through PredictionService.

        Raises:
          NoAnswer: the call failed.
        """
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        request = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.model_spec.signature_name = "serving_default"
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(list(images), tf.string))
        options = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
        ]
        with grpc.insecure_channel(self.grpc_address, options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            try:
                answer = stub.Predict(request, timeout=ANSWER_SECONDS)
            except grpc.RpcError as error:
                raise NoAnswer(f"{error.code().name}: {error.details()}") from None
        return {key: plain(tf.make_ndarray(value)) for key, value in answer.outputs.items()}

    def _json(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with DIRECT.open(request, timeout=ANSWER_SECONDS) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read(300).decode(errors="replace")
            raise NoAnswer(f"HTTP {error.code}: {said}") from None
        except (OSError, ValueError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from None
        if not isinstance(found, dict):
            raise NoAnswer("the answer is no JSON object")
        return found


class _PortTaken(NoAnswer):
    """Somebody took a port between its choice and the start of the server."""


@contextlib.contextmanager
def serving(model: Path, scratch: Path, timeout: float = STARTUP_SECONDS) -> Iterator[Endpoint]:
    """`pneumo serve` on a candidate, on ports of the loopback address.

    Args:
      model: folder of the SavedModel.
      scratch: an empty folder for the version and the log.
      timeout: seconds until the server must be ready.

    Raises:
      NoAnswer: the server ended, or was not ready in time.
    """
    version_folder(model, scratch / NAME)
    with contextlib.ExitStack() as stack:
        for left in reversed(range(_TRIES)):
            try:
                endpoint = stack.enter_context(_started(scratch, timeout, *free_ports(2)))
                break
            except _PortTaken:
                if not left:
                    raise
        yield endpoint


@contextlib.contextmanager
def _started(scratch: Path, timeout: float, rest: int, rpc: int) -> Iterator[Endpoint]:
    log = scratch / "server.log"
    arguments = ["pipeline.cli", "serve", "--model-dir", str(scratch / NAME), "--name", NAME]
    arguments += ["--host", LOOPBACK, "--rest-port", str(rest), "--grpc-port", str(rpc)]
    with process(arguments, log, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
        endpoint = Endpoint(f"http://{LOOPBACK}:{rest}", f"{LOOPBACK}:{rpc}")
        deadline = time.monotonic() + timeout
        while not _ready(f"{endpoint.rest}/readyz"):
            if child.poll() is not None:
                said = last_line(log)
                kind = _PortTaken if "is in use" in said else NoAnswer
                raise kind(f"the server ended with status {child.poll()}: {said}")
            if time.monotonic() > deadline:
                raise NoAnswer(f"the server was not ready in {timeout:g} s: {last_line(log)}")
            time.sleep(0.25)
        yield endpoint


def _ready(address: str) -> bool:
    try:
        with DIRECT.open(address, timeout=5) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


class Fresh:
    """A SavedModel in a Python process that has loaded nothing but TensorFlow."""

    def __init__(self, child: "subprocess.Popen[str]", log: Path) -> None:
        self._child, self._log = child, log

    def ask(self, images: Sequence[bytes]) -> Columns:
        """Sends images.

        Raises:
          NoAnswer: the process ended, or the model raised.
        """
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            line = json.dumps([base64.b64encode(image).decode() for image in images])
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()
        except OSError:
            pass  # it ended; the empty answer below tells why
        answer = self._child.stdout.readline()
        if not answer:
            status = self._child.wait()
            raise NoAnswer(f"the process ended with status {status}: {last_line(self._log)}")
        found = json.loads(answer)
        if "error" in found:
            raise NoAnswer(found["error"])
        return found


@contextlib.contextmanager
def fresh(model: Path, scratch: Path) -> Iterator[Fresh]:
    """Loads a SavedModel in a new process; the first `ask` waits for it."""
    log = scratch / "process.log"
    with process(
        ["components.endpoint_validator.fresh", str(model)],
        log,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        yield Fresh(child, log)


def plain(values: Any) -> list[Any]:
    """Array -> lists; bytes -> text."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(item) for item in value]
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    return text(values.tolist())
