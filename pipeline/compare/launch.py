"""Runs each configuration in a process of its own and keeps what it cost.

A work folder that is shared holds `compare/NAME/run.json` (as `pneumo run` wrote it) and
`compare/NAME/process.json` for each configuration.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schema.errors import PneumoError
from schema.files import write_atomically
from schema.processes import environment

RUN, PROCESS = "run.json", "process.json"


@dataclass(frozen=True)
class Child:
    """How one process went.

    Attributes:
      name: of the configuration.
      status: exit status; negative: killed by that signal.
      seconds: wall time.
      peak_rss_mib: its highest resident memory, MiB, from the kernel; at least that of the process
        that started it, which is small.
      error: why it failed, one line; empty where it did not.
    """

    name: str
    status: int
    seconds: float
    peak_rss_mib: float
    error: str


def folder_of(work: Path, name: str) -> Path:
    """Where the files of one configuration are kept."""
    return work / "compare" / name


def launch(
    name: str,
    source: str,
    data: Path,
    work: Path,
    overrides: Sequence[str] = (),
    weights: Path | None = None,
) -> Child:
    """Runs one configuration to its end; its progress goes to the terminal.

    Args:
      name: of the configuration.
      source: YAML file or name of a shipped configuration.
      data: folder of images or of records.
      work: the shared work folder.
      overrides: `key=value` each.
      weights: file or folder of weight files; a trunk whose file is not there looks elsewhere.
    """
    push_to = json.dumps(str(work.resolve() / "serving" / name))
    command = [sys.executable, "-P", "-m", "pipeline.cli", "run", "--config", source,
               "--data", str(data), "--workdir", str(work),
               *(part for text in overrides for part in ("--set", text)),
               "--set", f"serving.push_to={push_to}"]  # fmt: skip
    return keep(work, spawn(name, command, {"PNEUMO_WEIGHTS": str(weights)} if weights else {}))


def spawn(name: str, command: Sequence[str], extra: Mapping[str, str]) -> Child:
    """Runs a command, and measures its time and memory apart from those of its siblings.

    Args:
      name: of the configuration.
      command: program and arguments; it must find this package.
      extra: environment variables beside the present ones.
    """
    started = time.monotonic()
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(command, stderr=said, env=environment(**extra))
        try:
            # The peak of this child alone; RUSAGE_CHILDREN is the peak over all of them.
            _, raw, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(raw)
        said.seek(0)
        lines = [line.strip() for line in said if line.strip()]
    status = process.returncode
    if status == 130:
        raise KeyboardInterrupt
    return Child(
        name=name,
        status=status,
        seconds=round(time.monotonic() - started, 1),
        peak_rss_mib=round(usage.ru_maxrss / 1024, 1),
        error=reason(lines, status) if status else "",
    )


def reason(lines: Sequence[str], status: int) -> str:
    """The line in which a command says why it stopped."""
    if status < 0:
        return f"killed by signal {-status}" + (" (out of memory?)" if status == -9 else "")
    told = [line.removeprefix("pneumo: ") for line in lines if line.startswith("pneumo: ")]
    return (told or list(lines) or [f"exit status {status}"])[-1]


def keep(work: Path, child: Child) -> Child:
    """Writes the record of a finished configuration; of a failed one only the reason stays.

    Time and memory of a run whose training was answered from the cache say nothing about training;
    what an earlier comparison measured for the same training is kept beside them.
    """
    folder = folder_of(work, child.name)
    folder.mkdir(parents=True, exist_ok=True)
    before = read_json(folder / PROCESS)
    record: dict[str, Any] = {**asdict(child), "trained": None}
    if child.status:
        (folder / RUN).unlink(missing_ok=True)
    else:
        text = (work / RUN).read_text()
        trainer = next(n for n in json.loads(text)["nodes"] if n["name"] == "Trainer")
        this = {"seconds": child.seconds, "peak_rss_mib": child.peak_rss_mib,
                "model": trainer["outputs"]["model"][0]}  # fmt: skip
        earlier = before.get("trained") or {}
        if not trainer["cached"]:
            record["trained"] = this
        elif earlier.get("model") == this["model"]:
            record["trained"] = earlier
        write_atomically(folder / RUN, text)
    write_atomically(folder / PROCESS, json.dumps(record, indent=1) + "\n")
    return child


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file.

    Raises:
      PneumoError: it is not JSON.
    """
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text())
    except ValueError:
        raise PneumoError(f"{file} is damaged; delete it and compare again") from None
    return dict(found)


def stop_of(error: str) -> str:
    """A reason without what the terminal alone needs (where the log is)."""
    return re.sub(r"\s+log: \S+$", "", error)
