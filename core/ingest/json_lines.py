"""JSONL files."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def json_line(row: Mapping[str, Any]) -> bytes:
    """Encodes one line; ASCII only, so that file names that are not UTF-8 survive."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSONL file."""
    with path.open("rb") as stream:
        yield from map(json.loads, stream)
