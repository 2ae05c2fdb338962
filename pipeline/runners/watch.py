"""Starts runs when new images are in the inbox or a monitor report shows drift.

The state of a watch is one JSON file, replaced atomically; a watch that is killed loses nothing.
"""

import hashlib
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click
from pydantic import BaseModel, ConfigDict, ValidationError

from schema.errors import PneumoError
from schema.files import try_lock, write_atomically
from schema.storage import fetch, is_remote, join, list_files

ATTEMPTS = 3  # runs over the same images and report, at most


class WatchState(BaseModel):
    """State of a watch between checks.

    Attributes:
      images: path below the inbox -> size in bytes, of the last successful run.
      report: digest of the monitor report that the last successful run followed.
      pending: digest of the images and the report of a run that has not succeeded.
      attempts: number of runs over `pending`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: dict[str, int] = {}
    report: str = ""
    pending: str = ""
    attempts: int = 0


@dataclass(frozen=True)
class Watch:
    """Starts a run when enough new images or a drift report are present.

    Attributes:
      inbox: local folder or URI (gs://, s3://, minio://) where images land.
      data: folder that runs read; new images are copied there unless it is the inbox.
      work: work folder of the runs.
      program: command of a run.
      report: path of a monitor.json that `pneumo monitor` writes, if any.
      min_new: number of new images that starts a run.
      min_patients: number of patients from which the new images must come.
      settle: seconds since the last change before a local file counts.
    """

    inbox: str
    data: Path
    work: Path
    program: Sequence[str]
    report: Path | None = None
    min_new: int = 1
    min_patients: int = 0
    settle: float = 60.0

    def check(self) -> int:
        """Runs the program if a run is due; returns 0, or 1 if a run has failed.

        Raises:
          PneumoError: the inbox, the report or the state cannot be read.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "watch.lock").open("w") as own, (self.work / ".lock").open("w") as runs:
            if not try_lock(own) or not try_lock(runs):
                click.echo(f"waiting: another run or watch is active in {self.work}")
                return 0
            runs.close()  # the run itself takes this lock
            return self._check(self.work / "watch.json")

    def _check(self, file: Path) -> int:
        state, images = read_state(file), list_images(self.inbox, self.settle)
        digest, alarms = read_report(self.report)
        key = hashlib.sha256(json.dumps([sorted(images.items()), digest]).encode()).hexdigest()
        attempt = 1 + (state.attempts if key == state.pending else 0)
        drift = alarms if digest != state.report else []
        due, reason = decide(state.images, images, drift, self.min_new, self.min_patients)
        if due and attempt > ATTEMPTS:
            click.echo(f"stopped: {ATTEMPTS} runs over these images failed; see run.log")
            return 1
        click.echo(reason)
        if not due:
            return 0
        if self.inbox != str(self.data):
            copy_new(self.inbox, images, self.data)
        # Before the run: a run that is killed counts too, so that a crash cannot repeat forever.
        pending = state.model_copy(update={"pending": key, "attempts": attempt})
        write_atomically(file, pending.model_dump_json())
        status = subprocess.run(self.program, check=False).returncode
        if status:
            click.echo(f"failed: attempt {attempt} of {ATTEMPTS}, exit status {status}")
            return 1
        write_atomically(file, WatchState(images=images, report=digest).model_dump_json())
        return 0


def decide(
    known: Mapping[str, int],
    images: Mapping[str, int],
    drift: Sequence[str],
    min_new: int,
    min_patients: int,
) -> tuple[bool, str]:
    """Returns whether a run is due, and the reason; drift always starts one."""
    from core.ingest.file_names import parse_name

    new = [name for name, size in images.items() if known.get(name) != size]
    patients = {parse_name(name).patient for name in new}
    patients -= {parse_name(name).patient for name in known}
    if drift and images:
        return True, f"drift: {'; '.join(drift)}"
    if len(new) >= max(min_new, 1) and len(patients) >= min_patients:
        return True, f"{len(new)} new images from {len(patients)} patients"
    return False, (
        f"waiting: at least {min_new} new images from {min_patients} patients are needed, "
        f"{len(new)} from {len(patients)} so far"
    )


def read_state(file: Path) -> WatchState:
    """Reads the state of a watch; a new one has none."""
    try:
        return WatchState.model_validate_json(file.read_text()) if file.exists() else WatchState()
    except ValidationError:
        raise PneumoError(f"unreadable state {file}; remove it to count all images again") from None


def list_images(inbox: str, settle: float) -> dict[str, int]:
    """Returns path below the inbox -> size of its images, without files that changed recently.

    A local inbox is searched as `pneumo ingest` does; in a store, the names decide.
    """
    from core.ingest.scan import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, scan, skipped_kind

    latest = time.time() - settle
    if is_remote(inbox):
        try:
            files = list_files(inbox)
        except PneumoError as error:
            raise PneumoError(f"cannot list the inbox: {error}") from None
        return {
            name: info.size
            for name, info in files.items()
            if info.changed <= latest
            and not skipped_kind(name)
            and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
        }
    folder = Path(inbox.removeprefix("file://"))
    if not folder.is_dir():
        raise PneumoError(f"cannot list the inbox: {inbox} is not a folder; check the path")
    images = {}
    for entry in scan(folder):
        if entry.kind == "reject":
            click.echo(f"inbox: {folder / entry.path}: {entry.detail}")
        suffix = PurePosixPath(entry.path).suffix.lower()
        if (
            entry.kind == "file"
            and entry.mtime_ns / 1e9 <= latest
            and suffix not in OTHER_IMAGE_SUFFIXES
        ):
            images[entry.path] = entry.size
    return images


def copy_new(inbox: str, names: Mapping[str, int], data: Path) -> None:
    """Copies images to the data folder, each atomically; files that exist are left as they are."""
    for name in names:
        if not (data / name).exists():
            fetch(join(inbox, name), data / name)


def read_report(file: Path | None) -> tuple[str, list[str]]:
    """Returns the digest and the alarms of a monitor report; empty if there is no report."""
    if file is None or not file.exists():
        return "", []
    text = file.read_text()
    try:
        return hashlib.sha256(text.encode()).hexdigest(), list(json.loads(text)["alarms"])
    except (ValueError, KeyError, TypeError):
        raise PneumoError(f"{file} is not a monitor.json written by `pneumo monitor`") from None
