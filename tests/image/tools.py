"""Programs of the development packages that the tests of the image call."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> str:
    """A program of this environment; skips the test where the environment is older than it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (extra dev)")
    return found


def output(*words: str) -> tuple[int, str]:
    """Exit status and everything that a program said."""
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr
