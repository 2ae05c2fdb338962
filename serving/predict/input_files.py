"""Which files are asked about, streamed, so that a folder may hold any number; and their bytes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from core.images.rules import MAX_BYTES, MAX_DICOM_BYTES
from schema.errors import PneumoError
from serving.predict.dicom import is_dicom, to_png

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".dcm", ".dicom"})


def check_paths(paths: Iterable[Path]) -> None:
    """Finds wrong paths before anything is asked.

    Raises:
      PneumoError: a path does not exist, or a folder holds no image.
    """
    for path in paths:
        if path.is_dir():
            if next(walk(path), None) is None:
                raise PneumoError(f"folder {path} holds no .jpeg, .jpg, .png or DICOM file")
        elif not path.exists():
            raise PneumoError(f"image {path} does not exist; check the path")


def stream_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given, and the images of folders in order of name."""
    for path in paths:
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


def walk(folder: Path) -> Iterator[Path]:
    """Images below a folder in order of name; holds the names of one folder at a time.

    DICOM files often have no suffix, or end in a number: those are known by their first bytes.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise PneumoError(f"folder {folder} cannot be listed: {error.strerror}") from error
    for entry in found:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(path)
        elif path.suffix.lower() in SUFFIXES or _hidden_dicom(path):
            yield path


def names_of(lines: BinaryIO) -> Iterator[Path]:
    """File names from a stream, one a line; empty lines are skipped."""
    for line in lines:
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if name:
            yield Path(name)


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Bytes of a JPEG or PNG file; a DICOM file is rendered to PNG.

    Raises:
      OSError: it cannot be read.
      PneumoError: it is too large, or a DICOM file without a picture to show.
    """
    with path.open("rb") as file:
        head = file.read(132)
        dicom = is_dicom(head)
        limit = MAX_DICOM_BYTES if dicom else limit
        content = head + file.read(limit + 1 - len(head))
    if len(content) > limit:
        raise PneumoError(f"TOO_MANY_BYTES: more than {limit >> 20} MiB")
    return to_png(content) if dicom else content


def _hidden_dicom(path: Path) -> bool:
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
