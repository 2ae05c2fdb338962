"""Linters that the tests of the image and the workflows call."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> str:
    """Returns the path of a program of this environment (extra dev)."""
    return str(Path(sys.executable).with_name(name))


def output(*command: str) -> tuple[int, str]:
    """Returns the exit status and the output of a program that runs in the repository root."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr
