"""Lists a folder as a stream; every entry is an image file, skipped with a reason, or rejected.

The one scanner of `pneumo ingest`, `run`, `predict`, `watch` and `monitor`.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from core.images.checks import formats
from core.images.dicom.read import is_dicom

DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES: Final = frozenset({".jpeg", ".jpg", ".jpe", ".jfif", ".png"}) | DICOM_SUFFIXES
# Image files that are rejected, with a reason, instead of skipped.
OTHER_IMAGE_SUFFIXES: Final = formats.SUFFIXES
_LISTED: Final = IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES
_JUNK_FILES: Final = {
    ".ds_store": ".DS_Store",
    "thumbs.db": "Thumbs.db",
    "desktop.ini": "desktop.ini",
    "dicomdir": "DICOMDIR",  # index of a medium, without an image
}


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One entry of a source tree.

    Attributes:
      path: relative to the source, "/" between the parts (surrogates stand for bytes that are not
        UTF-8).
      kind: `file`: to be checked; `skip`: not an image; `reject`: unusable.
      reason: kind of skipped file, or the code of the reject.
      detail: a sentence about a reject.
      size: bytes.
      mtime_ns: time of the last change, nanoseconds.
    """

    path: str
    kind: Literal["file", "skip", "reject"]
    reason: str = ""
    detail: str = ""
    size: int = 0
    mtime_ns: int = 0


# Folders of operating systems and network drives, with copies or thumbnails of the images.
_JUNK_FOLDERS: Final = {
    "__macosx": "__MACOSX",
    "@eadir": "@eaDir",
    "$recycle.bin": "$RECYCLE.BIN",
    "system volume information": "System Volume Information",
}


def scan(
    root: Path, *, ordered: bool = False, suffixes: frozenset[str] = _LISTED
) -> Iterator[SourceEntry]:
    """Yields every entry below `root` except folders.

    Only the pending folders are held in memory, never the files. A linked folder is followed once,
    and not at all if it leads into a folder that is read anyway, so loops end.

    Args:
      root: folder.
      ordered: by name, files before folders and linked folders last; keeps the names of one folder
        in memory. Otherwise in no particular order.
      suffixes: of the files to yield as `file`, lower case. DICOM files without a suffix are added
        to images.
    """
    real_root = os.path.realpath(root)
    followed = [real_root]
    links: list[tuple[str, str]] = []
    yield from _walk(real_root, "", "", links, ordered, suffixes)
    while links:
        links.sort(reverse=True)
        path, junk = links.pop()
        target = os.path.realpath(os.path.join(real_root, path))  # noqa: PTH118
        if _inside(real_root, target) or any(_inside(target, folder) for folder in followed):
            yield SourceEntry(path, "skip", "link to a folder that is read anyway")
            continue
        followed.append(target)
        yield from _walk(target, path, junk, links, ordered, suffixes)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _walk(
    base: str,
    prefix: str,
    junk: str,
    links: list[tuple[str, str]],
    ordered: bool,
    suffixes: frozenset[str],
) -> Iterator[SourceEntry]:
    stack = [(base, prefix, junk)]
    while stack:
        folder, prefix, junk = stack.pop()
        try:
            entries = os.scandir(folder)
        except OSError as error:
            yield SourceEntry(prefix or ".", "reject", "unreadable", f"folder: {error.strerror}")
            continue
        below: list[tuple[str, str, str]] = []
        with entries:
            listing = sorted(entries, key=lambda entry: entry.name) if ordered else entries
            for entry in listing:
                path = f"{prefix}/{entry.name}" if prefix else entry.name
                kind = junk or _junk_folder(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    below.append((entry.path, path, kind))
                elif entry.is_symlink() and _leads_to_folder(entry):
                    links.append((path, kind))
                else:
                    yield _file(entry, path, junk, suffixes)
        stack += reversed(below)


def _junk_folder(name: str) -> str:
    return _JUNK_FOLDERS.get(name.lower(), "hidden" if name.startswith(".") else "")


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link onto itself
        return False


def _file(entry: os.DirEntry[str], path: str, junk: str, suffixes: frozenset[str]) -> SourceEntry:
    kind = junk or _skipped_kind(entry.name, suffixes)
    try:
        info = entry.stat()
    except OSError as error:
        if kind:
            return SourceEntry(path, "skip", kind)
        if entry.is_symlink():
            return SourceEntry(path, "reject", "broken_link", "the link points to a missing file")
        return SourceEntry(path, "reject", "unreadable", error.strerror or str(error))
    if kind and not junk and suffixes is _LISTED and _may_be_dicom(entry, info):
        kind = ""
    if kind:
        return SourceEntry(path, "skip", kind, size=info.st_size, mtime_ns=info.st_mtime_ns)
    if not stat.S_ISREG(info.st_mode):
        return SourceEntry(path, "reject", "not_a_file", "a pipe, socket or device")
    return SourceEntry(path, "file", size=info.st_size, mtime_ns=info.st_mtime_ns)


def _may_be_dicom(entry: os.DirEntry[str], info: os.stat_result) -> bool:
    """Whether a file of unknown suffix, such as a UID or none, has a DICOM signature."""
    if _junk_name(entry.name) or not stat.S_ISREG(info.st_mode):
        return False
    try:
        with open(entry.path, "rb") as stream:  # noqa: PTH123
            return is_dicom(stream.read(132))
    except OSError:
        return False


def skipped_kind(path: str) -> str:
    """Returns the kind of a file that `scan` skips by its path alone; "" for an image.

    Args:
      path: relative to the root, "/" between the parts.
    """
    *folders, name = PurePosixPath(path).parts
    return next(filter(None, map(_junk_folder, folders)), "") or _skipped_kind(name, _LISTED)


def _junk_name(name: str) -> str:
    if name.startswith("._"):
        return "._*"
    if known := _JUNK_FILES.get(name.lower()):
        return known
    return "hidden" if name.startswith(".") else ""


def _skipped_kind(name: str, suffixes: frozenset[str]) -> str:
    if known := _junk_name(name):
        return known
    suffix = os.path.splitext(name.lower())[1]  # noqa: PTH122
    if suffix in suffixes:
        return ""
    return f"*{suffix}" if suffix else "(no suffix)"


class Fingerprint:
    """Digest over (path, size, mtime) of a listing, independent of its order.

    The digests of the entries are added modulo 2**256: against accidental collisions as good as a
    hash of the sorted list, without sorting.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add(self, entry: SourceEntry) -> None:
        """Adds an entry."""
        line = f"{entry.kind}\0{entry.size}\0{entry.mtime_ns}\0".encode() + os.fsencode(entry.path)
        self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")
        self._count += 1

    def hexdigest(self, *more: str) -> str:
        """Returns the digest of all entries and of `more`, 64 hex digits."""
        total = f"{self._count}:{self._sum % (1 << 256):064x}:{':'.join(more)}"
        return hashlib.sha256(total.encode()).hexdigest()


def fingerprint(entries: Iterable[SourceEntry], *more: str) -> str:
    """Returns the digest of a whole listing; see Fingerprint."""
    digest = Fingerprint()
    for entry in entries:
        digest.add(entry)
    return digest.hexdigest(*more)
