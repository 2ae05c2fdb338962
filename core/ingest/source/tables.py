"""CSV files that come with images, read as a stream."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from schema.errors import PneumoError


def read_rows(
    path: Path, what: str, check: Callable[[set[str]], None] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line, cells by casefolded column) of a CSV with a header.

    Args:
      path: the file.
      what: it is, for messages.
      check: given the columns before the first row; raises where one is missing.

    Raises:
      PneumoError: it can't be read, or is no CSV.
    """
    try:
        stream = path.open(encoding="utf-8-sig", newline="", errors="surrogateescape")
    except OSError as error:
        raise PneumoError(f"{what} {path}: {error.strerror}") from None
    with stream:
        reader = csv.DictReader(stream)
        try:
            columns = {(c or "").strip().casefold(): c for c in reader.fieldnames or ()}
            if check is not None:
                check(set(columns))
            for row in reader:
                yield reader.line_num, {k: (row[c] or "").strip() for k, c in columns.items()}
        except csv.Error as error:
            raise PneumoError(f"{what} {path}, line {reader.line_num}: {error}") from None


def header_of(path: Path) -> set[str]:
    """Casefolded columns of a CSV; empty where it can't be read as one."""
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as stream:
            return {c.strip().casefold() for c in next(csv.reader(stream), [])}
    except (OSError, csv.Error):
        return set()
