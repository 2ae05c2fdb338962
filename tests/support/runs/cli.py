"""Runs `pneumo` inside the test process, which saves the start of a new one."""

import contextlib
import io
import subprocess
import sys
from typing import Any
from unittest import mock

from pipeline.cli import main


def pneumo(*arguments: Any, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs a command as the console script does; returns its exit status and output."""
    out, error = io.BytesIO(), io.BytesIO()
    status: Any = 0
    with (
        contextlib.redirect_stdout(io.TextIOWrapper(out, write_through=True)),
        contextlib.redirect_stderr(io.TextIOWrapper(error, write_through=True)),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
    ):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        return subprocess.CompletedProcess(arguments, int(status), out.getvalue(), error.getvalue())
