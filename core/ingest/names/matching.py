"""Finds the file that a table names, although the name is not written like that of the file."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from core.ingest.names.folding import fold
from core.ingest.scan import DICOM_SUFFIXES, IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES

_SUFFIXES: Final = IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES
_DRIVE: Final = re.compile(r"[A-Za-z]:/")


def without_suffix(path: str) -> str:
    """Returns a path without the suffix of an image; other suffixes are parts of the name."""
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in _SUFFIXES else path


def portable_path(name: str) -> str:
    """Returns the path that a table names, with "/" between the parts and without "./"."""
    path = name.strip().replace("\\", "/")
    if path.startswith("~/"):
        path = str(Path(path).expanduser())
    return posixpath.normpath(path) if path else ""


def is_absolute(path: str) -> bool:
    """Whether a portable path is absolute, on Linux or on Windows."""
    return path.startswith("/") or bool(_DRIVE.match(path))


def ends(path: str) -> Iterator[str]:
    """Yields a path and its ends, from the longest: a/b/c, b/c, c."""
    while path:
        yield path
        path = path.partition("/")[2]


@lru_cache(maxsize=65536)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def relative_to_source(path: str, source: Path, folder: Path) -> str:
    """Returns the path below the source, which may be reached through links.

    Args:
      path: portable path that a table names.
      source: folder of images, without links.
      folder: of the table; paths with ".." start from it.

    Returns:
      A relative path; `path` itself if it is absolute and leads elsewhere.
    """
    full = path
    if path == ".." or path.startswith("../"):
        full = posixpath.normpath(posixpath.join(_real(str(folder)), path))
    if not full.startswith("/"):
        return path
    above = posixpath.dirname(full)
    while _real(above) != str(source):
        if above == posixpath.dirname(above):
            return path
        above = posixpath.dirname(above)
    return posixpath.relpath(full, above)


def alternatives(path: str, source: Path) -> Iterator[str]:
    """Yields paths below the source that a path may mean if no file fits it as it is.

    A path may start with the last folders of the source (`data/images/x.jpeg` for the source
    `data/images`), and an absolute path of another machine may end with a path below the source.
    """
    folders = fold(source.as_posix()).strip("/").split("/")
    parts = path.split("/")
    for n in range(1, len(parts)):
        named = [fold(part) for part in parts[:n]]
        if is_absolute(path) or folders[-n:] == named:
            yield "/".join(parts[n:])


def best_matches(name: str, paths: Iterable[str]) -> list[str]:
    """Returns the paths that a name fits best; more than one if it is ambiguous.

    A name fits a path as a whole or an end of it, exactly, or but for Unicode form and case, or but
    for the suffix too; a better fit excludes all others.

    Args:
      name: portable path or end of a path.
      paths: relative to the source.
    """
    levels: dict[tuple[bool, int], list[str]] = {}
    parts = name.count("/") + 1
    folded = fold(name)
    for path in paths:
        portable = portable_path(path)
        end = "/".join(portable.split("/")[-parts:])
        if end == name:
            difference = 0
        elif fold(end) == folded:
            difference = 1
        elif without_suffix(end) == without_suffix(name):
            difference = 2
        elif fold(without_suffix(end)) == fold(without_suffix(name)):
            difference = 3
        else:
            continue
        levels.setdefault((end != portable, difference), []).append(path)
    return levels[min(levels)] if levels else []


def may_identify(path: str) -> bool:
    """Whether a file name may identify a patient: that of a DICOM file, which may be replaced."""
    suffix = posixpath.splitext(path)[1].lower()
    return suffix in DICOM_SUFFIXES or suffix not in _SUFFIXES
