"""Reads CSV files with a header as a stream."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from schema.errors import PneumoError


def read_rows(
    path: Path, name: str, check: Callable[[set[str]], None] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line, cells by casefolded column) of a CSV with a header.

    Args:
      path: the file.
      name: of the table in messages.
      check: called with the columns before the first row; raises if one is missing.

    Raises:
      PneumoError: it can't be read, or is not a CSV.
    """
    try:
        stream = path.open(encoding="utf-8-sig", newline="", errors="surrogateescape")
    except OSError as error:
        raise PneumoError(f"{name} {path}: {error.strerror}") from None
    with stream:
        reader = csv.DictReader(stream)
        try:
            columns = {(c or "").strip().casefold(): c for c in reader.fieldnames or ()}
            if check is not None:
                check(set(columns))
            for row in reader:
                yield reader.line_num, {k: (row[c] or "").strip() for k, c in columns.items()}
        except csv.Error as error:
            raise PneumoError(f"{name} {path}, line {reader.line_num}: {error}") from None


def read_header(path: Path) -> set[str]:
    """Returns the casefolded columns of a CSV; empty if it can't be read as one."""
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as stream:
            return {c.strip().casefold() for c in next(csv.reader(stream), [])}
    except (OSError, csv.Error):
        return set()
