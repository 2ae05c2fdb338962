"""Processes: whether one is still there, and children that do not outlive their parent."""

import os
import sys
from collections.abc import Sequence

# Asks the kernel for SIGKILL at the end of the parent, looks whether that was missed, becomes the
# program. In a program of its own: work between fork and exec is unsafe beside threads of gRPC.
_BECOME = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execvp(sys.argv[2], sys.argv[2:])"
)


def guarded(command: Sequence[str]) -> list[str]:
    """The command as a child of this process that ends with it, killed or not (Linux)."""
    return [sys.executable, "-S", "-c", _BECOME, str(os.getpid()), *command]


def runs(pid: int) -> bool:
    """Whether a process is there, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
