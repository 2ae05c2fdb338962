"""Takes settled files of an inbox into the folder that runs read. Nothing is ever overwritten."""

import filecmp
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.ingest.scan import Entry, scan
from schema.errors import PneumoError

PARTIAL = ".pneumo-partial"


@dataclass(frozen=True)
class Taken:
    """What was done.

    Attributes:
      copied: files; in a dry run those that would be.
      landing: files that have not come to rest and are not in the data.
      conflicts: files that lie in the data under the same name with other content.
    """

    copied: int
    landing: int
    conflicts: tuple[str, ...]


def take_in(inbox: Path, data: Path, settled: Callable[[Entry], bool], dry: bool = False) -> Taken:
    """Copies what is settled and not there yet; the inbox is left as it is.

    A file appears in the data whole, under its path below the inbox. After a kill the same call
    goes on.

    Args:
      inbox: where files land.
      data: what runs read; made if need be.
      settled: whether a file has come to rest.
      dry: only say what would be done.

    Raises:
      PneumoError: a file can't be copied, or one folder lies within the other.
    """
    inbox, data = inbox.resolve(), data.resolve()
    if inbox == data or inbox in data.parents or data in inbox.parents:
        raise PneumoError(f"--inbox {inbox} and --data {data} lie within each other; leave out one")
    copied, landing = 0, 0
    conflicts: list[str] = []
    for entry in scan(inbox):
        if entry.kind != "file":
            continue
        source, dest = inbox / entry.path, data / entry.path
        try:
            if dest.exists():
                if not _same(source, dest):
                    conflicts.append(entry.path)
                continue
            if not settled(entry):
                landing += 1
                continue
            copied += 1
            if dry:
                continue
            dest.parent.mkdir(parents=True, exist_ok=True)
            # A hidden name: whoever reads the data meanwhile passes over it.
            partial = dest.with_name(f".{dest.name}{PARTIAL}")
            shutil.copy2(source, partial)
            os.replace(partial, dest)  # noqa: PTH105
        except FileNotFoundError:
            continue  # it was taken away from the inbox
        except OSError as error:
            raise PneumoError(
                f"cannot copy {source} to {dest.parent}: {error.strerror}; make room or check "
                "permissions, the watch goes on from there"
            ) from None
    return Taken(copied, landing, tuple(sorted(conflicts)))


def _same(source: Path, dest: Path) -> bool:
    one, other = source.stat(), dest.stat()
    if one.st_size != other.st_size:
        return False
    return one.st_mtime_ns == other.st_mtime_ns or filecmp.cmp(source, dest, shallow=False)
