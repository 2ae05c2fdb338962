"""Processes: whether one is still there, and children that do not outlive their parent."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]

# Asks the kernel for SIGKILL at the end of the parent, looks whether that was missed, becomes the
# program. In a program of its own: work between fork and exec is unsafe beside threads of gRPC.
_BECOME = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execvp(sys.argv[2], sys.argv[2:])"
)


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """The command as a child of this process that ends with it, killed or not (Linux)."""
    return [sys.executable, "-S", "-c", _BECOME, str(os.getpid()), *command]


def child_environment(**more: str) -> dict[str, str]:
    """Environment of a child that imports this project."""
    path = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **more}


def terminate(running: "subprocess.Popen[Any]", seconds: float) -> None:
    """Ends a child that leads a session: asked first, killed with what is left of the session."""
    if running.poll() is not None:
        return
    running.terminate()
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def is_running(pid: int) -> bool:
    """Whether a process is there, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
