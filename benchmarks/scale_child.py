"""Runs a piece of work in a forked process and accounts for it: CPU seconds, peak memory, bytes.

CPU seconds and not wall time, so that other work on the machine counts little. The parent may have
imported what the work needs: then imports are no part of it, but their memory is.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MOST_RSS_MIB = 9_000  # a child that grows beyond is stopped: others use this machine too


class Clock:
    """CPU seconds of this process and its ended children, in named parts."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what happens within to a part."""
        before = cpu_seconds()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + cpu_seconds() - before


def cpu_seconds() -> float:
    """User and system time of this process, all threads, and of children that ended."""
    return sum(os.times()[:4])


def resident_mib(pid: int) -> float:
    """Present resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def forked(work: Callable[[], dict[str, Any]], scratch: Path) -> dict[str, Any]:
    """Does the work in a child.

    Args:
      work: returns what goes into the answer.
      scratch: folder for the answer and for what the child prints.

    Returns:
      what the work returned, and cpu_s, wall_s, peak_mib, start_mib (before the work); or `failed`:
      why there is no answer.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    answer = scratch / "answer.json"
    answer.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    pid = os.fork()
    if not pid:
        _child(work, answer, scratch / "output.txt")
    stopped: list[str] = []
    done = threading.Event()
    guard = threading.Thread(target=_guard, args=(pid, done, stopped), daemon=True)
    guard.start()
    _, status, usage = os.wait4(pid, 0)
    done.set()
    guard.join()
    facts = {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - started,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    if os.waitstatus_to_exitcode(status) or not answer.is_file():
        end = (scratch / "output.txt").read_text(errors="replace")[-1500:]
        return {**facts, "failed": stopped[0] if stopped else end}
    return {**facts, **json.loads(answer.read_text())}


def _child(work: Callable[[], dict[str, Any]], answer: Path, output: Path) -> None:
    code = 1
    try:
        with output.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            start = resident_mib(os.getpid())
            answer.write_text(json.dumps({"start_mib": start, **work()}))
            code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _guard(pid: int, done: threading.Event, stopped: list[str]) -> None:
    while not done.wait(0.5):
        with contextlib.suppress(OSError, ValueError):
            if resident_mib(pid) > MOST_RSS_MIB:
                stopped.append(f"stopped: more than {MOST_RSS_MIB} MiB resident")
                os.kill(pid, signal.SIGKILL)
                return


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
