"""Predictions of a candidate that is served on this machine, or loaded in a new process."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from schema.errors import PneumoError
from schema.ports import LOOPBACK, free_ports
from schema.processes import child_environment, terminate
from serving.client import Client, ClientError
from serving.client.retry import Retry
from serving.predict.prediction import Prediction, to_prediction
from serving.server.engines import CONTAINERS, ENGINES

SAVED_MODEL = "savedmodel"
_NAME, _VERSION = "pneumo", 1
_START_SECONDS = 300.0  # TFX's InfraValidator allows as much
_PREDICT_SECONDS = 120.0
_STOP_SECONDS = 30.0
# TensorFlow Serving opens its ports after the model is loaded, and ends if it cannot be.
_LOAD_FAILED = re.compile(r"Loading servable: .* failed: |servable\(s\) did not become available")
_PNEUMO = (sys.executable, "-m", "pipeline.cli")


class ServerNotStartedError(Exception):
    """No server came up, which is no evidence about the model."""


class ModelFailedError(Exception):
    """The model could not be loaded or executed."""


def engines(how: str, image: str) -> list[str]:
    """Lists what can serve the candidate, in order of preference.

    Args:
      how: "endpoint": the engines of `pneumo serve`; "docker": the container; "savedmodel": a new
        process; "auto": the engines, then a new process.
      image: container image of TensorFlow Serving. Only "docker" pulls it: without a registry that
        takes minutes to fail.
    """
    if how in ("docker", SAVED_MODEL):
        return ["container" if how == "docker" else how]

    def pulled(program: str) -> bool:
        command = [program, "image", "inspect", image]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    usable = any(pulled(program) for program in map(shutil.which, CONTAINERS) if program)
    installed = [name for name in ENGINES if name != "auto" and (usable or name != "container")]
    return installed if how == "endpoint" else [*installed, SAVED_MODEL]


def predict(
    engine: str, image: str, model: Path, contents: Sequence[bytes], scratch: Path
) -> dict[str, list[Prediction]]:
    """Sends image files to the candidate in one request; returns predictions by protocol.

    Raises:
      ServerNotStartedError: the server ended or timed out before it responded.
      ModelFailedError: the model could not be loaded or executed.
    """
    if engine == SAVED_MODEL:
        return {"SavedModel": _predict_in_new_process(model, contents, scratch)}
    shutil.copytree(model, scratch / "versions" / str(_VERSION))
    rest_port, grpc_port = free_ports(2)
    command = [
        *(*_PNEUMO, "serve", "--model-dir", str(scratch / "versions"), "--name", _NAME),
        *("--host", LOOPBACK, "--rest-port", str(rest_port), "--grpc-port", str(grpc_port)),
        *("--engine", engine, *(("--image", image) if engine == "container" else ())),
    ]
    log = scratch / "log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, env=child_environment()
        )
    addresses = {"REST": f"http://{LOOPBACK}:{rest_port}", "gRPC": f"grpc://{LOOPBACK}:{grpc_port}"}
    predictions = {}
    try:
        _wait_until_available(child, addresses["REST"], log)
        for protocol, address in addresses.items():
            with Client(address, _NAME, timeout=_PREDICT_SECONDS) as client:
                rows = client.call("serving_default", contents)
            predictions[protocol] = [to_prediction("", row) for row in rows]
    except (PneumoError, ValueError) as error:
        raise ModelFailedError(f"{engine}: {error}") from error
    finally:
        terminate(child, _STOP_SECONDS)
    return predictions


def _wait_until_available(child: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    state = ""
    with Client(address, _NAME, retry=Retry(patience=0)) as client:
        while child.poll() is None and state != "END" and time.monotonic() < deadline:
            with contextlib.suppress(ClientError):
                state = client.status().get(_VERSION, "unknown")
            if state == "AVAILABLE":
                return
            if _LOAD_FAILED.search(log.read_text(errors="replace")):
                state = "END"
            time.sleep(0.25)
    output = log.read_text(errors="replace")
    ended = f"exit status {child.returncode}" if child.poll() is not None else "still running"
    if state or _LOAD_FAILED.search(output):
        raise ModelFailedError(f"the model is not served (state {state}, {ended}); {_last(output)}")
    raise ServerNotStartedError(f"{ended}; {_last(output)}")


def _predict_in_new_process(
    model: Path, contents: Sequence[bytes], scratch: Path
) -> list[Prediction]:
    files = [scratch / f"{number}.image" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    command = [*_PNEUMO, "predict", "--model", str(model), "--json"]
    command += ["--batch-size", str(len(files)), *map(str, files)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            env=child_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelFailedError(f"no predictions within {_START_SECONDS:g} s") from None
    lines = done.stdout.splitlines()
    if len(lines) != len(files):
        raise ModelFailedError(f"the process failed ({done.returncode}); {_last(done.stderr)}")
    return [Prediction(**json.loads(line)) for line in lines]


def _last(text: str) -> str:
    """The last line that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
