"""Digests that identify files and code."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint_of_code(paths: Iterable[Path]) -> str:
    """Short digest over sources (files, or every .py and template below a folder).

    It goes into the parameters of a node, so that an edit of what the node does runs it again, and
    an edit elsewhere does not.
    """
    digest = hashlib.sha256()
    for path in paths:
        below = (file for file in path.rglob("*") if file.suffix in (".py", ".j2"))
        files = sorted(below) if path.is_dir() else [path]
        for file in files:
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
