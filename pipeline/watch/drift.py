"""Asks `pneumo monitor` about the part of a log that no run has answered yet."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components.monitor.seen import log_files
from schema.errors import PneumoError

MOVED: Final = 1  # exit status of `pneumo monitor`
FEW: Final = "a verdict needs"  # it says so where the log is too short; that is no error here


@dataclass(frozen=True)
class Verdict:
    """What the monitor said.

    Attributes:
      drift: lines of what is beyond its threshold.
      until: time of the last line that it saw, seconds since 1970.
      note: why there is no verdict; empty: there is one.
    """

    drift: tuple[str, ...] = ()
    until: float = 0.0
    note: str = ""


def signature(logged: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of each log: the same as long as nothing was written."""
    found = []
    for file in log_files(logged):
        info = file.stat()
        found.append((str(file), info.st_size, info.st_mtime_ns))
    return tuple(found)


def newer(logged: Path, since: float, dest: Path) -> tuple[int, float]:
    """Copies the lines of a log that are newer than `since`.

    Args:
      logged: a log of `pneumo serve`, or a folder of them.
      since: seconds since 1970; a line without a time counts as newer where this is 0.
      dest: file to write.

    Returns:
      how many lines, and the latest time among them.
    """
    lines, until = 0, since
    with dest.open("wb") as out:
        for file in log_files(logged):
            with file.open("rb") as stream:
                for line in stream:
                    if not line.endswith(b"\n"):
                        continue  # the server may be writing it
                    at = _time(line)
                    if since and at <= since:
                        continue
                    out.write(line)
                    lines, until = lines + 1, max(until, at)
    return lines, until


def _time(line: bytes) -> float:
    try:
        at = float(json.loads(line).get("time") or 0.0)
    except (ValueError, AttributeError, TypeError):
        return 0.0
    return at if math.isfinite(at) else 0.0


def ask(logged: Path, reference: Path, since: float, folder: Path) -> Verdict:
    """Compares the newer part of a log with what the model learned from.

    In a process of its own, because the comparison loads what a long-lived watch should not hold.

    Args:
      logged: a log of `pneumo serve`, or a folder of them.
      reference: work folder of a run.
      since: lines up to this time were answered by a run already.
      folder: for the part of the log, and the monitor's page.

    Raises:
      PneumoError: the monitor could not compare.
    """
    if not logged.exists():
        return Verdict(note=f"{logged} does not exist yet")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "newer.jsonl"
    lines, until = newer(logged, since, part)
    if not lines:
        return Verdict(note="nothing new in the log")
    done = subprocess.run(
        [
            sys.executable, "-m", "pipeline.cli", "monitor", "--logged", str(part),
            "--reference", str(reference), "--out", str(folder), "--json",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode in (0, MOVED):
        # A crash exits with 1 too, so the numbers must say it as well.
        try:
            told = json.loads(done.stdout)
            return Verdict(tuple(told["alarms"]) if done.returncode == MOVED else (), until)
        except (ValueError, KeyError):
            pass
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if FEW in last:
        return Verdict(note=last.removeprefix("pneumo: "))
    raise PneumoError(f"the monitor could not compare: {last.removeprefix('pneumo: ')}")
