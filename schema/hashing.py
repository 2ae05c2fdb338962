"""Digests that identify files."""

import hashlib
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
