"""Small files: written whole or not at all, read where they may be missing, held by one process."""

import fcntl
import json
from pathlib import Path
from typing import IO, Any


def write_atomically(path: Path, text: str) -> None:
    """Writes UTF-8 text under a temporary name beside `path`, then gives it its name.

    A half of a surrogate pair (from a file name that is not UTF-8) is written as \\udcNN.
    """
    write_bytes_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """As `write_atomically`."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def take_lock(file: IO[Any] | int) -> bool:
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
