"""Child processes: start, environment, termination."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]

# Requests SIGKILL on the death of the parent (prctl), exits if the parent is already gone, then
# executes the command. A separate program, because code between fork and exec (`preexec_fn`) is
# unsafe in a process with gRPC threads.
_EXEC_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execvp(sys.argv[2], sys.argv[2:])"
)


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """Wraps a command so that the kernel kills it when this process ends (Linux)."""
    return [sys.executable, "-S", "-c", _EXEC_WITH_PARENT, str(os.getpid()), *command]


def child_environment(**extra: str) -> dict[str, str]:
    """Returns the environment for a child process that imports this project."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **extra}


def terminate(process: "subprocess.Popen[Any]", seconds: float) -> None:
    """Terminates a session leader; kills its whole session if it does not end in time."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_running(pid: int) -> bool:
    """Whether a process exists, of any owner."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
