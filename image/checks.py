"""Starts what image/prove.py built as an engine would start it, and looks at what happens."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from image.prove import Image, command, log_of

# What no container may hold: compilers, installers, what checks and tests the project.
ABSENT = ("gcc", "cc", "g++", "make", "pip", "pip3", "uv", "git", "curl", "wget")
ABSENT_PACKAGES = ("pip", "pytest", "mypy", "ruff", "hypothesis", "moto", "playwright")
IMPORTS = """
import importlib, importlib.util, pkgutil, sys
import tfx.v1  # puts a stand-in into tfx_bsl without which TFDV cannot be imported
count = 0
for top in ("schema", "components", "serving", "pipeline"):
    package = importlib.import_module(top)
    for module in pkgutil.walk_packages(package.__path__, top + "."):
        importlib.import_module(module.name)
        count += 1
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from kfp.pipeline_spec import pipeline_spec_pb2
extra = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
if extra:
    sys.exit("installed, and should not be: " + ", ".join(extra))
print(f"{count} modules of the project imported, Python {sys.version.split()[0]}")
"""


class CheckError(Exception):
    """A container did not do what the image promises; the message says what."""


class Containers:
    """Runs commands in an image; every one writes a log into `work`."""

    def __init__(self, image: Image, work: Path) -> None:
        self.image, self.work = image, work

    def run(self, name: str, words: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        """What a command printed.

        Raises:
          subprocess.CalledProcessError: it failed; its last lines are shown.
        """
        with log_of(self.work, f"check-{name}") as log:
            subprocess.run(command(self.image, words, env), check=True,
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
        return (self.work / f"check-{name}.log").read_text()

    def start(self, name: str, words: Sequence[str]) -> subprocess.Popen:
        """Starts a command and leaves it running."""
        with (self.work / f"check-{name}.log").open("w") as log:
            return subprocess.Popen(command(self.image, words), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)  # fmt: skip

    def beside(self, running: subprocess.Popen, words: Sequence[str]) -> int:
        """Exit status of a command inside a container that runs (docker exec)."""
        inside = _child(running.pid)
        entered = ["nsenter", "--target", inside, "--mount", "--pid", "--root", "--wd=/work"]
        user = self.image.user.partition(":")[0]
        return subprocess.run(
            [*entered, f"--setuid={user}", f"--setgid={user}", "env", "-i",
             *(f"{name}={value}" for name, value in self.image.env.items()), *words],
            check=False, stdout=subprocess.DEVNULL,
        ).returncode  # fmt: skip


def _child(pid: int) -> str:
    """The process that is the first of a container: the only child of what started it."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if len(found) != 1:
        raise CheckError(f"process {pid} has the children {found}")
    return found[0]


def check(image: Image, work: Path) -> None:
    """Starts a built image in every way that it is meant for; prints a line for each.

    Raises:
      CheckError: something is not as promised.
      subprocess.CalledProcessError: a command failed.
    """
    run = Containers(image, work)
    entry = image.entrypoint()
    _step("user", lambda: _user(run))
    _step("imports", lambda: run.run("imports", ["python", "-c", IMPORTS, *ABSENT_PACKAGES]))
    _step("pneumo --help", lambda: run.run("help", [*entry, *image.described["CMD"].words()]))
    _step("task of a compiled pipeline", lambda: _entry(run))
    # So few images may not pass the gate, and the server below needs a model.
    demo = [*entry, "demo", "--n", "120", "--set", "evaluation.gate.auc.min=0"]
    _step("pneumo demo", lambda: run.run("demo", demo))
    _step("pneumo serve", lambda: _serve(run, entry))
    _step("bill of materials", lambda: _bill(image))


def _step(name: str, what: Callable[[], str]) -> None:
    started = time.monotonic()
    lines = [line for line in what().splitlines() if line.strip()]
    last = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip() if lines else ""
    print(f"  {time.monotonic() - started:6.1f} s  {name}: {last[:90]}", flush=True)


def _user(run: Containers) -> str:
    script = "".join(f"! command -v {name}\n" for name in ABSENT)
    script = (
        f"set -e\n{script}" + "! touch /opt/x /usr/x 2>/dev/null\ntouch /work/x && rm /work/x\n"
    )
    script += 'test "$(id -u)" = 10001 && test "$(command -v python)" = /opt/venv/bin/python\nid\n'
    return run.run("user", ["bash", "-c", script])


def _entry(run: Containers) -> str:
    if not (run.image.root / "opt/project/pipeline/kubeflow/entry.py").exists():
        return "not in this version"
    return run.run("entry", ["python", "-m", "pipeline.kubeflow.entry", "--help"])


def _serve(run: Containers, entry: Sequence[str]) -> str:
    """Serves the demonstration's model, asks its health as an engine would, and stops it."""
    models = list((run.image.root / "work").rglob("serving/*/saved_model.pb"))
    if not models:
        raise CheckError("pneumo demo pushed no model")
    folder = "/" + str(models[0].parents[1].relative_to(run.image.root))
    ports = ["--rest-port", "18501", "--grpc-port", "18500"]
    health = run.image.described["HEALTHCHECK"].value.partition("CMD")[2].strip()
    asked = [word.strip('"') for word in health.strip("[]").split(", ")]
    server = run.start("serve", [*entry, "serve", "--model-dir", folder, "--engine", "ray", *ports])
    try:
        before = run.beside(server, asked) if _wait_child(server) else None
        deadline = time.monotonic() + 300
        while run.beside(server, asked):
            if server.poll() is not None or time.monotonic() > deadline:
                raise CheckError(f"pneumo serve is not ready: {run.work}/check-serve.log")
            time.sleep(2)
        with urllib.request.urlopen(
            "http://127.0.0.1:18501/v1/models/pneumo", timeout=10
        ) as answer:
            status = answer.status
        os.kill(int(_child(server.pid)), signal.SIGTERM)
        code = server.wait(120)
    finally:
        server.kill()
        server.wait()
    return f"health {before}, then 0; model status {status}; SIGTERM ended it with {code}"


def _wait_child(running: subprocess.Popen) -> bool:
    """Whether a container's first process has become the init process by now."""
    for _ in range(100):
        try:
            if Path(f"/proc/{_child(running.pid)}/comm").read_text() == "tini\n":
                return True
        except (CheckError, FileNotFoundError):
            pass
        time.sleep(0.1)
    return False


def _bill(image: Image) -> str:
    bill = json.loads((image.root / "usr/share/pneumo/sbom.cdx.json").read_text())
    return f"{len(bill['components'])} components"
