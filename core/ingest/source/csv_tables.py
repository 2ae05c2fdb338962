"""Reads CSV files with a header as a stream, in the forms that spreadsheets write."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from core.ingest.names.folding import fold
from schema.errors import PneumoError

_SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "an Excel workbook or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "compressed (gzip)",
    b"PAR1": "a Parquet file",
}
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.?)"?', re.IGNORECASE)
_HEAD: Final = 4096  # bytes from which the encoding is detected
_RESAVE: Final = "save it as CSV (UTF-8)"


def _decode_single_bytes(error: UnicodeError) -> tuple[str, int]:
    """Reads bytes that are not UTF-8 as Windows-1252, the default of older spreadsheets."""
    assert isinstance(error, UnicodeDecodeError)
    raw = error.object[error.start : error.end]
    return "".join(bytes([b]).decode("cp1252", "replace") for b in raw), error.end


codecs.register_error("cp1252", _decode_single_bytes)


class _Table:
    """A CSV that is read with one separator.

    Attributes:
      columns: folded name -> position.
      width: number of columns.
    """

    def __init__(self, stream: TextIO, separator: str, where: str) -> None:
        self._where, self._separator = where, separator
        self._lines: list[str] = []  # of the row that is read
        stream.seek(0)
        # Quoted fields may begin after a space.
        self._reader = csv.reader(self._read(stream), delimiter=separator, skipinitialspace=True)
        rows = (cells for _, cells in self._filled() if not _SEPARATOR_LINE.fullmatch(cells[0]))
        names = [fold(name.strip("\ufeff")) for name in next(rows, [])]
        self.columns = {name: n for n, name in enumerate(names) if name}
        self.width = len(names)
        self._repeated = [name for n, name in enumerate(names) if self.columns.get(name, n) != n]

    def _read(self, stream: TextIO) -> Iterator[str]:
        for line in stream:
            self._lines.append(line)
            yield line

    def _filled(self) -> Iterator[tuple[int, list[str]]]:
        """Yields (line, cells) of the rows that have cells."""
        lines: list[str] = []
        try:
            for row in self._reader:
                lines, self._lines = self._lines, []
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield self._reader.line_num, cells
        except csv.Error as error:
            raise PneumoError(f"{self._where}, line {self._reader.line_num}: {error}") from None
        if _quote_is_open(lines, self._separator):  # one cell has swallowed all that follows it
            first = self._reader.line_num - len(lines) + 1
            raise PneumoError(f"{self._where}, line {first}: a quote is not closed; close it")

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yields (line, cells by column)."""
        if self._repeated:
            raise PneumoError(f"{self._where}: column {self._repeated[0]} occurs twice; rename one")
        for line, cells in self._filled():
            if len(cells) > self.width and any(cells[self.width :]):
                separator = _SEPARATORS.get(self._separator, self._separator)
                raise PneumoError(
                    f"{self._where}, line {line}: {len(cells)} cells for {self.width} columns; "
                    f"quote cells that contain a {separator}"
                )
            cells.extend([""] * (self.width - len(cells)))
            yield line, {name: cells[n] for name, n in self.columns.items()}


def read_rows(
    path: Path, name: str, check: Callable[[set[str]], None] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line, cells by folded column) of a CSV with a header, without empty rows.

    The separator is a comma, semicolon, tab or vertical bar, or that of a first line `sep=;`. The
    encoding is UTF-8, UTF-16 or UTF-32; bytes that are not UTF-8 are read as Windows-1252.

    Args:
      path: the file.
      name: of the table in messages.
      check: called with the columns before the first row; raises if one is missing.

    Raises:
      PneumoError: it can't be read, or is not a CSV.
    """
    with _opened(path, name) as stream:
        yield from _table(stream, f"{name} {path}", check).rows()


def read_header(path: Path) -> set[str]:
    """Returns the folded columns of a CSV; empty if it can't be read as one."""
    try:
        with _opened(path, "table") as stream:
            return set(_table(stream, "table", None).columns)
    except PneumoError:
        return set()


def _table(stream: TextIO, where: str, check: Callable[[set[str]], None] | None) -> _Table:
    """Returns the table with the separator whose columns pass the check, the most if several do.

    Raises:
      PneumoError: that of the check, with separator and encoding.
    """
    declared = _SEPARATOR_LINE.fullmatch(stream.readline().strip("\r\n"))
    separators = [declared[1]] if declared and declared[1] else [*_SEPARATORS]
    failed: PneumoError | None = None
    tables = [(separator, _Table(stream, separator, where)) for separator in separators]
    for separator, table in sorted(tables, key=lambda one: -one[1].width):
        try:
            if check is not None:
                check(set(table.columns))
        except PneumoError as error:
            shown = _SEPARATORS.get(separator, repr(separator))
            failed = failed or PneumoError(
                f"{error} (read with separator {shown}, encoding {stream.encoding})"
            )
        else:
            return _Table(stream, separator, where)  # the others have moved the stream
    assert failed is not None
    raise failed


def _quote_is_open(lines: list[str], separator: str) -> bool:
    """Whether the last row of a table ends in a quoted cell."""
    try:
        list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


@contextmanager
def _opened(path: Path, name: str) -> Iterator[TextIO]:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise PneumoError(f"{name} {path}: {error.strerror}") from None
    for signature, kind in _OTHER_FORMATS.items():
        if head.startswith(signature):
            raise PneumoError(f"{name} {path} is {kind}, not a CSV; {_RESAVE}")
    encoding = _encoding(head)
    if "\0" in head.decode(encoding, "replace"):
        raise PneumoError(f"{name} {path} is not a text file; {_RESAVE}")
    try:
        with path.open(
            encoding=encoding, newline="", errors="cp1252" if "8" in encoding else "strict"
        ) as text:
            yield text
    except UnicodeError:
        raise PneumoError(f"{name} {path} can't be decoded as {encoding}; {_RESAVE}") from None


def _encoding(head: bytes) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if len(head) > 1 and 0 in head[:2]:  # UTF-16 without a mark: a column starts with ASCII
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8"
