"""Measures the cost of a command in a child process."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from schema.processes import child_environment

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Cost:
    """Wall seconds, CPU seconds and peak resident memory (MiB) of a process, and its output."""

    wall: float
    cpu: float
    peak_mib: float
    output: str


def measure(*arguments: str | Path) -> Cost:
    """Runs `python ARGUMENTS` and waits for it.

    Raises:
      RuntimeError: the command failed; the message contains its output.
    """
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=child_environment(TF_CPP_MIN_LOG_LEVEL="2"),
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise RuntimeError(f"{arguments} exited with {process.returncode}:\n{text[-3000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)
