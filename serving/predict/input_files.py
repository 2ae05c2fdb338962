"""Finds the image files to predict, and reads them."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from core.images.rules import MAX_BYTES, MAX_DICOM_BYTES
from core.ingest.scan import scan
from schema.errors import PneumoError
from serving.predict.dicom import is_dicom, to_png


def check_paths(paths: Iterable[Path]) -> None:
    """Checks that a path exists and that every folder has an image.

    A missing file among others does not stop the run: it is rejected like an unreadable one.

    Raises:
      PneumoError: no path exists, or a folder has no image.
    """
    paths = list(paths)
    for path in paths:
        left = LeftOut()
        if path.is_dir() and next(stream_files([path], left), None) is None and not left.rejected:
            skipped = f" ({left.skipped.total()} files skipped: {left})" if left.skipped else ""
            raise PneumoError(
                f"folder {path} contains no JPEG, PNG or DICOM file{skipped}; give another folder"
            )
    if paths and not any(path.exists() for path in paths):
        raise PneumoError(f"image {paths[0]} does not exist; check the path")


@dataclass
class LeftOut:
    """Files in folders that are not predicted.

    Attributes:
      skipped: kind of skipped file -> number.
      rejected: path and reason of files and folders that cannot be used.
    """

    skipped: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[Path, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return ", ".join(f"{kind} {n}" for kind, n in sorted(self.skipped.items()))


def stream_files(paths: Iterable[Path], left: LeftOut | None = None) -> Iterator[Path]:
    """Yields the files among the paths, and the images of the folders by name.

    Args:
      paths: files and folders.
      left: gets every other file of the folders.
    """
    left = left or LeftOut()
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for entry in scan(path, ordered=True):
            if entry.kind == "file":
                yield path / entry.path
            elif entry.kind == "skip":
                left.skipped[entry.reason] += 1
            else:
                left.rejected.append((path / entry.path, f"{entry.reason}: {entry.detail}"))


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
    return to_png(content, str(path)) if dicom else content


def read_or_reason(read: Callable[[], bytes]) -> tuple[bytes, str]:
    """Returns the content of an image and "", or b"" and the reason why it cannot be read."""
    try:
        return read(), ""
    except OSError as error:
        return b"", f"cannot be read: {error.strerror or error}"
    except PneumoError as error:
        return b"", str(error)
