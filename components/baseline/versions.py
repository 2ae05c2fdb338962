"""The pushed versions: which of them a candidate has to beat."""

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from components.resolver.kind import ABOUT, kind_of
from schema.storage import exists, fetch, join, listing, read_bytes


def newest_first(push_to: str) -> list[str]:
    """Names of the versions in a folder or URI, newest first; what else lies there is left out."""
    return sorted((name for name in listing(push_to) if name.isdigit()), key=int, reverse=True)


def next_version(seen: Sequence[str], wanted: int) -> str:
    """The wanted number, or one above all that were seen: a server always moves on to it."""
    return str(max([wanted, *(int(name) + 1 for name in seen)]))


def copy_blessed(push_to: str, candidate: Path, dest: Path) -> str:
    """Copies the newest version that a candidate can be compared with, and that is not itself.

    Only blessed models are pushed. A candidate that was pushed by an earlier run is compared with
    what was there before it, so that the same run finds the same baseline again.

    Args:
      push_to: folder or URI of the versions.
      candidate: folder of its SavedModel.
      dest: where the copy goes; not there where none is found.

    Returns:
      Name of the version; empty where there is none.

    Raises:
      PneumoError: the store cannot be asked.
    """
    about = candidate / ABOUT
    kind = kind_of(about.read_bytes()) if about.is_file() else None
    if kind is None:
        return ""
    for version in newest_first(push_to):
        uri = join(push_to, version)
        # saved_model.pb is written last: without it a push is under way, or was killed.
        if not all(exists(join(uri, name)) for name in ("saved_model.pb", str(ABOUT))):
            continue
        if kind_of(read_bytes(join(uri, str(ABOUT)))) != kind:
            continue
        fetch(uri, dest)
        if not same_files(candidate, dest):
            return version
        shutil.rmtree(dest)
    return ""


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files, others = (
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        for folder in (one, other)
    )
    return files == others and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in files
    )
