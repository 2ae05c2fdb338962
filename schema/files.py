"""Atomic writes, file locks, paths that are no patterns, JSON and JSONL files, and checksums."""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file that is renamed to `path` if the block raises no error."""
    owner = f"{os.getpid()}-{threading.get_ident()}"
    partial = path.with_name(f".{path.name}.{owner}.partial")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder that replaces `path` if the block raises no error.

    Removes the temporary folder of a killed process. Not for concurrent writers of one path.
    """
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    r"""Writes UTF-8 text; see `atomic_file`.

    A lone surrogate (from a file name that is not UTF-8) is escaped as \udcNN.
    """
    write_bytes_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Writes bytes; see `atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(data)


def try_lock(file: IO[Any] | int) -> bool:
    """Locks an open file exclusively; returns False if another process holds the lock.

    The kernel releases the lock when the last process that has the file open ends.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def has_pattern(path: Path) -> bool:
    """Whether TensorFlow and Beam read a path as a file pattern."""
    return not set("*?[\\").isdisjoint(str(path))


@contextlib.contextmanager
def literal_path(path: Path) -> Iterator[Path]:
    """Yields a path to an existing file or folder that is no file pattern; see `has_pattern`.

    Where necessary, the path is that of a link in a temporary folder.
    """
    if not has_pattern(path.absolute()):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pneumo-") as scratch:
        link = Path(scratch) / "link"
        link.symlink_to(path.absolute())
        yield link


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns the JSON object in a file, or None if the file does not exist."""
    return json.loads(path.read_text()) if path.is_file() else None


def json_line(row: Mapping[str, Any]) -> bytes:
    """Encodes one line; ASCII only, so that file names that are not UTF-8 survive."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSONL file."""
    with path.open("rb") as stream:
        yield from map(json.loads, stream)


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 of a file as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_values(value: Any) -> Any:
    """Converts NumPy values and tuples to built-in types, recursively; NaN and infinity to None."""
    if isinstance(value, dict):
        return {str(key): json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item) for item in value]
    if hasattr(value, "tolist"):  # an array or a scalar of NumPy
        return json_values(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
