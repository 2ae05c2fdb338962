"""Object stores on the loopback interface, over real HTTP."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from schema.ports import free_ports

BUCKET = "pneumo"


@dataclass(frozen=True)
class Store:
    """A running store.

    Attributes:
      root: URI of its only bucket.
      environment: variables that point clients at it.
      url: HTTP address.
    """

    root: str
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""


def free_port() -> int:
    return free_ports(1)[0]


@contextlib.contextmanager
def s3(folder: Path, scheme: str = "s3") -> Iterator[Store]:
    """moto's S3 server with an empty bucket; its log lies in `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    url = f"http://127.0.0.1:{port}"
    with _running(command, folder / "s3.log", url):
        request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()
        yield Store(
            f"{scheme}://{BUCKET}",
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                # Checks of the instance's role would wait for an address that is not there.
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            url,
        )


@contextlib.contextmanager
def gcs(folder: Path) -> Iterator[Store]:
    """The emulator of Google Cloud Storage with an empty bucket, its objects on disk."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gcp_storage_emulator",
        "--data-dir",
        str(folder / "gcs"),
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--quiet",
    ]
    url = f"http://127.0.0.1:{port}"
    with _running(command, folder / "gcs.log", url):
        request = urllib.request.Request(
            f"{url}/storage/v1/b?project=test",
            json.dumps({"name": BUCKET}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        yield Store(f"gs://{BUCKET}", {"STORAGE_EMULATOR_HOST": url}, url)


@contextlib.contextmanager
def _running(command: list[str], log: Path, url: str) -> Iterator[None]:
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ})
        try:
            _wait(server, url, log)
            yield
        finally:
            server.kill()
            server.wait()


def _wait(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return  # it answers, if only that there is nothing here
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no store at {url}: {log.read_text()[-2000:]}")
