"""Walks a source tree as a stream and says of every entry: image file, junk, or unusable."""

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
# Image files that are refused with a line of their own instead of being passed over.
OTHER_IMAGE_SUFFIXES: Final = frozenset(
    {".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".jp2", ".avif"}
)
_JUNK_FILES: Final = {
    ".ds_store": ".DS_Store",
    "thumbs.db": "Thumbs.db",
    "desktop.ini": "desktop.ini",
    "dicomdir": "DICOMDIR",  # lists the files of a medium; it holds no picture
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a source tree.

    Attributes:
      path: relative to the source, "/" between the parts (surrogates stand for bytes that are not
        UTF-8).
      kind: `file`: to be checked; `skip`: junk; `reject`: can't be used.
      what: name of the junk, or the code of the reason.
      detail: a sentence for a reject.
      size: bytes.
      mtime_ns: time of the last change, nanoseconds.
    """

    path: str
    kind: Literal["file", "skip", "reject"]
    what: str = ""
    detail: str = ""
    size: int = 0
    mtime_ns: int = 0


def scan(root: Path) -> Iterator[Entry]:
    """Yields every entry below `root`, folders apart, in no particular order.

    Memory holds the folders still to be read, never the files. A linked folder is followed once,
    and not at all where it leads into what is read anyway, so loops end.
    """
    real_root = os.path.realpath(root)
    followed = [real_root]
    links: list[tuple[str, str]] = []
    yield from _walk(real_root, "", "", links)
    while links:
        links.sort(reverse=True)
        path, junk = links.pop()
        target = os.path.realpath(os.path.join(real_root, path))  # noqa: PTH118
        if _inside(real_root, target) or any(_inside(target, seen) for seen in followed):
            yield Entry(path, "skip", "link to a folder that is read anyway")
            continue
        followed.append(target)
        yield from _walk(target, path, junk, links)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _walk(base: str, prefix: str, junk: str, links: list[tuple[str, str]]) -> Iterator[Entry]:
    stack = [(base, prefix, junk)]
    while stack:
        folder, prefix, junk = stack.pop()
        try:
            entries = os.scandir(folder)
        except OSError as error:
            yield Entry(prefix or ".", "reject", "unreadable", f"folder: {error.strerror}")
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


def _file(entry: os.DirEntry[str], path: str, junk: str) -> Entry:
    what = junk or _junk_file(entry.name)
    try:
        info = entry.stat()
    except OSError as error:
        if what:
            return Entry(path, "skip", what)
        if entry.is_symlink():
            return Entry(path, "reject", "broken_link", "the link leads nowhere")
        return Entry(path, "reject", "unreadable", error.strerror or str(error))
    if what and not junk and _may_be_dicom(entry, info):
        what = ""
    if what:
        return Entry(path, "skip", what, size=info.st_size, mtime_ns=info.st_mtime_ns)
    if not stat.S_ISREG(info.st_mode):
        return Entry(path, "reject", "not_a_file", "a pipe, socket or device")
    return Entry(path, "file", size=info.st_size, mtime_ns=info.st_mtime_ns)


def _may_be_dicom(entry: os.DirEntry[str], info: os.stat_result) -> bool:
    """Whether a file without suffix (or whose suffix is a number, as in a UID) begins as DICOM."""
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


def _junk_file(name: str) -> str:
    if known := _junk_name(name):
        return known
    suffix = os.path.splitext(name.lower())[1]  # noqa: PTH122
    if suffix in IMAGE_SUFFIXES or suffix in OTHER_IMAGE_SUFFIXES:
        return ""
    return f"*{suffix}" if suffix else "(no suffix)"


class Fingerprint:
    """Digest over (path, size, mtime) of a listing, whatever its order.

    The digests of the entries are added modulo 2**256, which is the same as hashing the sorted list
    as far as accidents go, and needs no sorting.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add(self, entry: Entry) -> None:
        """Takes one more entry in."""
        line = f"{entry.kind}\0{entry.size}\0{entry.mtime_ns}\0".encode() + os.fsencode(entry.path)
        self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")
        self._count += 1

    def hexdigest(self, *more: str) -> str:
        """Digest of all entries and of `more`, 64 hex digits."""
        total = f"{self._count}:{self._sum % (1 << 256):064x}:{':'.join(more)}"
        return hashlib.sha256(total.encode()).hexdigest()


def fingerprint(entries: Iterable[Entry], *more: str) -> str:
    """Digest of a whole listing; see Fingerprint."""
    digest = Fingerprint()
    for entry in entries:
        digest.add(entry)
    return digest.hexdigest(*more)
