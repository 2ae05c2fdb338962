"""Small text files: written whole or not at all, and read where they may be missing."""

import json
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str) -> None:
    """Writes UTF-8 text under a temporary name beside `path`, then gives it its name.

    A half of a surrogate pair (from a file name that is not UTF-8) is written as \\udcNN.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else None
