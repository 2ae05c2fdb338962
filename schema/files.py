"""Small files: written whole or not at all, read where they may be missing, held by one process."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for writing that gets its name when the block ends without an error."""
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
    """Yields an empty folder that replaces `path` when the block ends without an error.

    Removes what a killed process left. One process at a time may write to the same path.
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
    """Writes UTF-8 text; see `atomic_file`.

    A half of a surrogate pair (from a file name that is not UTF-8) is written as \\udcNN.
    """
    write_bytes_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """As `write_atomically`."""
    with atomic_file(path) as stream:
        stream.write(data)


def try_lock(file: IO[Any] | int) -> bool:
    """Locks an open file against other processes; False where one has it.

    The kernel frees it when the last process that has the file open is gone.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else None


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
