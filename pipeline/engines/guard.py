"""A child that does not outlive the one that started it, however that one ends."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from schema.errors import PneumoError
from schema.ports import DIRECT
from schema.processes import end, guarded
from schema.processes import environment as of_project

STOP_SECONDS: Final = 15.0


def environment() -> dict[str, str]:
    """Environment of a child that imports this project and finds this interpreter as `python`."""
    bin_folder = str(Path(sys.executable).parent)
    return of_project(
        PATH=os.pathsep.join([bin_folder, os.environ.get("PATH", os.defpath)]),
        TF_CPP_MIN_LOG_LEVEL=os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        TF_USE_LEGACY_KERAS="1",  # TFT asks for it at import
    )


@contextlib.contextmanager
def child(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command beside this process and ends it: asked first, killed after 15 seconds.

    Args:
      command: program and arguments.
      log: where it writes what it prints.
    """
    with log.open("ab") as out:
        running = subprocess.Popen(
            guarded(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for the parent, which then stops it in order
        )
    try:
        yield running
    finally:
        stop(running)


def stop(running: "subprocess.Popen[bytes]") -> None:
    """Ends a child: asked first, killed with what it started after 15 seconds."""
    end(running, STOP_SECONDS)


def wait_until(
    ready: Callable[[], bool],
    children: Sequence["subprocess.Popen[bytes]"],
    what: str,
    log: Path,
    seconds: float = 120.0,
) -> None:
    """Waits for a server that was started.

    Raises:
      PneumoError: a child ended, or the time is up.
    """
    until = time.monotonic() + seconds
    while not ready():
        for one in children:
            if one.poll() is not None:
                raise PneumoError(f"{what} ended with status {one.returncode}: {told(log)}")
        if time.monotonic() > until:
            raise PneumoError(f"{what} did not answer within {seconds:.0f} s; its log: {log}")
        time.sleep(0.1)


def answers(url: str) -> bytes | None:
    """Body of a GET; None where there is no good answer."""
    try:
        with DIRECT.open(url, timeout=5) as reply:
            return bytes(reply.read())
    except (urllib.error.URLError, OSError, ValueError):
        return None


def told(log: Path) -> str:
    """The last line of a log that names an error, or the last of all, and where the log is."""
    lines = [x.strip() for x in log.read_text(errors="replace").splitlines() if x.strip()]
    named = [x for x in lines if "Error" in x or "Exception" in x or "error:" in x.lower()]
    last = (named or lines or ["it said nothing"])[-1][:200]
    return f"{last} (log: {log})"
