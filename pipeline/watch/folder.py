"""Where a watch keeps what it knows, and how it learns whether a run of its own is there."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schema.errors import PneumoError
from schema.files import take_lock, write_atomically


@dataclass(frozen=True)
class WatchFolder:
    """Paths below `watch/` of a work folder.

    Attributes:
      root: the folder.
    """

    root: Path

    @property
    def state(self) -> Path:
        """What the watch remembers."""
        return self.root / "state.json"

    @property
    def log(self) -> Path:
        """Every line that the watch printed."""
        return self.root / "watch.jsonl"

    def listing(self, number: int) -> Path:
        """What lay there when a run was started."""
        return self.root / f"run-{number:05d}.npz"

    def outcome(self, number: int) -> Path:
        """Exit status of a run, written by the run."""
        return self.root / f"run-{number:05d}.json"

    def output(self, number: int) -> Path:
        """What a run printed."""
        return self.root / f"run-{number:05d}.log"

    def lock(self, number: int) -> Path:
        """Held by a run as long as any process of it is there."""
        return self.root / f"run-{number:05d}.lock"

    def make(self) -> None:
        """Makes the folder.

        Raises:
          PneumoError: it can't be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PneumoError(
                f"cannot write in {self.root} ({error.strerror}); choose another --workdir"
            ) from None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps a second watch out; the kernel frees it when the process dies.

        Raises:
          PneumoError: there is one already.
        """
        with (self.root / "lock").open("w") as lock:
            if not take_lock(lock):
                raise PneumoError(
                    f"another watch is at work in {self.root}; stop it or give another --workdir"
                )
            yield

    def alive(self, number: int) -> bool:
        """Whether a process of a run is there."""
        return held_by_another(self.lock(number))

    def status(self, number: int) -> int | None:
        """Exit status that a run left; None: none."""
        try:
            return int(json.loads(self.outcome(number).read_text())["status"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def clean(self, keep: set[int]) -> None:
        """Removes the files of runs that nothing refers to any more, but for their logs."""
        for path in self.root.glob("run-*"):
            number = path.name[4:9]
            if path.suffix != ".log" and number.isdigit() and int(number) not in keep:
                path.unlink(missing_ok=True)


def write_outcome(path: Path, status: int, ended: float) -> None:
    """Writes how a run ended."""
    write_atomically(path, json.dumps({"status": status, "ended": ended}) + "\n")


def held_by_another(path: Path) -> bool:
    """Whether some process holds a lock file; False where there is no such file."""
    try:
        with path.open("r+") as lock:  # NFS locks only what is open for writing
            return not take_lock(lock)
    except OSError:
        return False


@contextlib.contextmanager
def inherited_lock(path: Path) -> Iterator[int]:
    """Takes a lock for a child that is about to be started; yields the descriptor to hand on.

    The lock belongs to the open file, so it lasts until the child and its children are gone: there
    is no moment in which a started run could be taken for a dead one.

    Raises:
      PneumoError: it is taken.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not take_lock(descriptor):
            raise PneumoError(f"{path} is held by a run that is going on")
        yield descriptor
    finally:
        os.close(descriptor)
