"""Work folder of a run: its paths, its lock, and redirection of output to the log file."""

import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from schema.errors import PneumoError
from schema.files import has_pattern, try_lock


def check_work_folder(folder: Path) -> Path:
    """Returns the absolute path of a work folder, with its links resolved if possible.

    Raises:
      PneumoError: TFX and Beam read the path as a file pattern.
    """
    for path in (folder.resolve(), Path(os.path.abspath(folder))):  # noqa: PTH100, keeps links
        if not has_pattern(path):
            return path
    raise PneumoError(
        f"work folder {folder.resolve()} contains one of * ? [ \\, which TFX and Beam read as a "
        "file pattern; choose another --workdir, or a link to it without these characters"
    )


@dataclass(frozen=True)
class Workspace:
    """Paths of one work folder."""

    folder: Path

    @property
    def metadata(self) -> Path:
        """SQLite file of ML Metadata."""
        return self.folder / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        """Root of the artifacts, a folder for each node."""
        return self.folder / "artifacts"

    @property
    def records(self) -> Path:
        """Records ingested for this work folder."""
        return self.folder / "records"

    @property
    def serving(self) -> Path:
        """Versions of blessed models."""
        return self.folder / "serving"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints from which a killed training resumes."""
        return self.folder / "checkpoints"

    def literal(self, folder: Path) -> Path:
        """Returns a data folder, or a link to it if TFX and Beam read its path as a pattern."""
        folder = folder.resolve()
        if not has_pattern(folder):
            return folder
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        link = self.folder / "links" / digest
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
        return link

    @property
    def log(self) -> Path:
        """Log of all runs."""
        return self.folder / "run.log"

    @property
    def summary(self) -> Path:
        """JSON file with nodes, durations and results of the last run."""
        return self.folder / "run.json"


@contextlib.contextmanager
def lock_workspace(folder: Path) -> Iterator[Workspace]:
    """Locks a work folder for one run; the kernel releases the lock when the process ends.

    Raises:
      PneumoError: another run holds the lock, or the folder is not writable, or its path is read
        as a pattern.
    """
    path = check_work_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise PneumoError(
            f"cannot write in {folder} ({error.strerror}); choose another --workdir"
        ) from None
    with lock:
        if not try_lock(lock):
            raise PneumoError(
                f"another run is working in {folder}; wait for it or give another --workdir"
            )
        yield Workspace(path)


@contextlib.contextmanager
def redirect_output(log_file: Path) -> Iterator[TextIO]:
    """Redirects standard output and error, including those of C++ libraries, to a file.

    Yields:
      A text stream to the real standard output.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    sys.stdout.flush()
    sys.stderr.flush()
    real_out, real_err = os.dup(1), os.dup(2)
    # One descriptor for the file keeps lines of Python and C++ in order.
    target = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    handler = logging.StreamHandler(os.fdopen(os.dup(target), "w", buffering=1))
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    terminal = os.fdopen(os.dup(real_out), "w", buffering=1)
    try:
        yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        terminal.close()
        os.dup2(real_out, 1)
        os.dup2(real_err, 2)
        os.close(real_out)
        os.close(real_err)
        root.removeHandler(handler)
        root.setLevel(level)
        handler.stream.close()


def check_data_folder(data: Path) -> None:
    """Checks that a data folder exists.

    Raises:
      PneumoError: it does not exist.
    """
    if not data.exists():
        raise PneumoError(f"data folder {data} does not exist; give it with --data or PNEUMO_DATA")
