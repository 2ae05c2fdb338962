"""Finds the image files to predict, and reads them."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from core.images.rules import MAX_BYTES, MAX_DICOM_BYTES
from schema.errors import PneumoError
from serving.predict.dicom import is_dicom, to_png

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".dcm", ".dicom"})


def check_paths(paths: Iterable[Path]) -> None:
    """Checks that a path exists and that every folder has an image.

    A missing file among others does not stop the run: it is rejected like an unreadable one.

    Raises:
      PneumoError: no path exists, or a folder has no image.
    """
    paths = list(paths)
    for path in paths:
        if path.is_dir() and next(walk_images(path), None) is None:
            raise PneumoError(f"folder {path} contains no .jpeg, .jpg, .png or DICOM file")
    if paths and not any(path.exists() for path in paths):
        raise PneumoError(f"image {paths[0]} does not exist; check the path")


def stream_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yields the files among the paths, and the images of the folders by name."""
    for path in paths:
        if path.is_dir():
            yield from walk_images(path)
        else:
            yield path


def walk_images(folder: Path) -> Iterator[Path]:
    """Yields the images below a folder by name; keeps the names of one folder in memory.

    DICOM files often have no suffix, or a number as suffix; they are recognized by content.
    """
    try:
        with os.scandir(folder) as iterator:
            entries = sorted(iterator, key=lambda entry: entry.name)
    except OSError as error:
        raise PneumoError(f"folder {folder} cannot be listed: {error.strerror}") from error
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk_images(path)
        elif path.suffix.lower() in SUFFIXES or _is_dicom_without_suffix(path):
            yield path


def read_paths(lines: BinaryIO) -> Iterator[Path]:
    """Yields paths from a stream, one per line; empty lines are skipped."""
    for line in lines:
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if name:
            yield Path(name)


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Reads a JPEG or PNG file; renders a DICOM file to PNG.

    Args:
      path: of the file.
      limit: size of a JPEG or PNG file, bytes.

    Raises:
      OSError: the file cannot be read.
      PneumoError: the file is too large, or a DICOM file that cannot be rendered.
    """
    with path.open("rb") as file:
        head = file.read(132)
        dicom = is_dicom(head)
        limit = MAX_DICOM_BYTES if dicom else limit
        content = head + file.read(limit + 1 - len(head))
    if len(content) > limit:
        raise PneumoError(f"TOO_MANY_BYTES: more than {limit >> 20} MiB")
    return to_png(content) if dicom else content


def read_or_reason(read: Callable[[], bytes]) -> tuple[bytes, str]:
    """Returns the content of an image and "", or b"" and the reason why it cannot be read."""
    try:
        return read(), ""
    except OSError as error:
        return b"", f"cannot be read: {error.strerror or error}"
    except PneumoError as error:
        return b"", str(error)


def _is_dicom_without_suffix(path: Path) -> bool:
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
