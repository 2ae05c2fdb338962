"""Waits for the end of a server, then ends what is left of its Ray and removes its folder.

A server that is killed cannot do it; Ray's own agents live on for a minute. Run as a script, with
the folder as argument and the server's end of a pipe as standard input; needs the standard library
alone.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "PNEUMO_SERVE_FOLDER"  # in the environment of all that the server started


def left(folder: str) -> list[int]:
    """Processes that belong to the server of this folder."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return [number for number in found if number != os.getpid()]


def main(folder: str) -> None:
    """Waits, ends, removes."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    for _ in range(100):
        processes = left(folder)
        for number in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if not processes:
            break
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
