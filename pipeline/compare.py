"""Runs each configuration of a comparison in a process of its own and records its cost.

For the files see `core.reporting.compare.runs`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.reporting.compare.runs import PROCESS, RUN, configuration_folder
from core.reporting.run_outputs import read_json_object
from schema.files import write_atomically
from schema.processes import child_environment


@dataclass(frozen=True)
class Child:
    """Result of one process.

    Attributes:
      name: of the configuration.
      status: exit status; negative: killed by that signal.
      seconds: wall time.
      peak_rss_mib: peak resident memory, MiB, from the kernel; at least that of the parent process,
        which is small.
      error: why it failed, one line; empty on success.
    """

    name: str
    status: int
    seconds: float
    peak_rss_mib: float
    error: str


def launch(
    name: str,
    source: str,
    data: Path,
    work: Path,
    overrides: Sequence[str] = (),
    weights: Path | None = None,
    validation_only: bool = False,
    described: Sequence[str] = (),
) -> Child:
    """Runs one configuration; its progress goes to the terminal.

    Args:
      name: of the configuration.
      source: its file, or the name of a shipped one.
      data: folder of images or records.
      work: work folder.
      overrides: `KEY=VALUE` texts.
      weights: file or folder of weights.
      validation_only: whether the test split is left out.
      described: options of `pneumo run` that describe the images, such as `--manifest`.
    """
    push_to = json.dumps(str(work.resolve() / "serving" / name))
    command = [
        sys.executable,
        "-P",
        "-m",
        "pipeline.cli",
        "run",
        "--config",
        source,
        "--data",
        str(data),
        "--workdir",
        str(work),
        *(part for text in overrides for part in ("--set", text)),
        "--set",
        f"serving.push_to={push_to}",
        *(["--validation-only"] if validation_only else []),
        *described,
    ]
    return keep(work, spawn(name, command, {"PNEUMO_WEIGHTS": str(weights)} if weights else {}))


def spawn(name: str, command: Sequence[str], extra: Mapping[str, str]) -> Child:
    """Runs a command and measures its time and memory."""
    started = time.monotonic()
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=child_environment(**extra))
        try:
            # The peak of this child alone; RUSAGE_CHILDREN is the peak over all of them.
            _, raw, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(raw)
        stderr.seek(0)
        lines = [line.strip() for line in stderr if line.strip()]
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
    """Returns the line of stderr with the reason of a failure."""
    if status < 0:
        return f"killed by signal {-status}" + (" (out of memory?)" if status == -9 else "")
    messages = [line.removeprefix("pneumo: ") for line in lines if line.startswith("pneumo: ")]
    return (messages or list(lines) or [f"exit status {status}"])[-1]


def keep(work: Path, child: Child) -> Child:
    """Writes the record of a finished configuration; of a failed one only the reason.

    If training came from the cache, the time and memory that an earlier comparison measured for the
    same training are kept.
    """
    folder = configuration_folder(work, child.name)
    folder.mkdir(parents=True, exist_ok=True)
    before = read_json_object(folder / PROCESS)
    record: dict[str, Any] = {**asdict(child), "trained": None}
    if child.status:
        (folder / RUN).unlink(missing_ok=True)
    else:
        text = (work / RUN).read_text()
        trainer = next(n for n in json.loads(text)["nodes"] if n["name"] == "Trainer")
        this = {
            "seconds": child.seconds,
            "peak_rss_mib": child.peak_rss_mib,
            "model": trainer["outputs"]["model"][0],
        }
        earlier = before.get("trained") or {}
        if not trainer["cached"]:
            record["trained"] = this
        elif earlier.get("model") == this["model"]:
            record["trained"] = earlier
        write_atomically(folder / RUN, text)
    write_atomically(folder / PROCESS, json.dumps(record, indent=1) + "\n")
    return child
