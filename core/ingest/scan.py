"""Lists a source tree as a stream; every entry is an image file, skipped, or rejected."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.images.dicom.read import is_dicom

DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES: Final = frozenset({".jpeg", ".jpg", ".jpe", ".jfif", ".png"}) | DICOM_SUFFIXES
# Image files that are rejected, with a reason, instead of skipped.
OTHER_IMAGE_SUFFIXES: Final = frozenset(
    {".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".jp2", ".avif"}
)
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


def scan(root: Path) -> Iterator[SourceEntry]:
    """Yields every entry below `root` except folders, in no particular order.

    Only the pending folders are held in memory, never the files. A linked folder is followed once,
    and not at all if it leads into a folder that is read anyway, so loops end.
    """
    real_root = os.path.realpath(root)
    followed = [real_root]
    links: list[tuple[str, str]] = []
    yield from _walk(real_root, "", "", links)
    while links:
        links.sort(reverse=True)
        path, junk = links.pop()
        target = os.path.realpath(os.path.join(real_root, path))  # noqa: PTH118
        if _inside(real_root, target) or any(_inside(target, folder) for folder in followed):
            yield SourceEntry(path, "skip", "link to a folder that is read anyway")
            continue
        followed.append(target)
        yield from _walk(target, path, junk, links)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _walk(base: str, prefix: str, junk: str, links: list[tuple[str, str]]) -> Iterator[SourceEntry]:
    stack = [(base, prefix, junk)]
    while stack:
        folder, prefix, junk = stack.pop()
        try:
            entries = os.scandir(folder)
        except OSError as error:
            yield SourceEntry(prefix or ".", "reject", "unreadable", f"folder: {error.strerror}")
            continue
        with entries:
            for entry in entries:
                path = f"{prefix}/{entry.name}" if prefix else entry.name
                below = junk or _junk_folder(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    stack.append((entry.path, path, below))
                elif entry.is_symlink() and _leads_to_folder(entry):
                    links.append((path, below))
                else:
                    yield _file(entry, path, junk)


def _junk_folder(name: str) -> str:
    if name == "__MACOSX":
        return "__MACOSX"
    return "hidden" if name.startswith(".") else ""


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link onto itself
        return False


def _file(entry: os.DirEntry[str], path: str, junk: str) -> SourceEntry:
    kind = junk or _skipped_kind(entry.name)
    try:
        info = entry.stat()
    except OSError as error:
        if kind:
            return SourceEntry(path, "skip", kind)
        if entry.is_symlink():
            return SourceEntry(path, "reject", "broken_link", "the link points to a missing file")
        return SourceEntry(path, "reject", "unreadable", error.strerror or str(error))
    if kind and not junk and _may_be_dicom(entry, info):
        kind = ""
    if kind:
        return SourceEntry(path, "skip", kind, size=info.st_size, mtime_ns=info.st_mtime_ns)
    if not stat.S_ISREG(info.st_mode):
        return SourceEntry(path, "reject", "not_a_file", "a pipe, socket or device")
    return SourceEntry(path, "file", size=info.st_size, mtime_ns=info.st_mtime_ns)


def _may_be_dicom(entry: os.DirEntry[str], info: os.stat_result) -> bool:
    """Whether a file without a suffix, or with a number for one (UID), has a DICOM signature."""
    suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122
    if _junk_name(entry.name) or (suffix and not suffix[1:].isdigit()):
        return False
    if not stat.S_ISREG(info.st_mode):
        return False
    try:
        with open(entry.path, "rb") as stream:  # noqa: PTH123
            return is_dicom(stream.read(132))
    except OSError:
        return False


def _junk_name(name: str) -> str:
    if name.startswith("._"):
        return "._*"
    if known := _JUNK_FILES.get(name.lower()):
        return known
    return "hidden" if name.startswith(".") else ""


def _skipped_kind(name: str) -> str:
    if known := _junk_name(name):
        return known
    suffix = os.path.splitext(name.lower())[1]  # noqa: PTH122
    if suffix in IMAGE_SUFFIXES or suffix in OTHER_IMAGE_SUFFIXES:
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
