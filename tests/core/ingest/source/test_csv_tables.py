"""CSV files as spreadsheets write them."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.source.csv_tables import read_header, read_rows
from schema.errors import PneumoError

PLAIN = "path,label\na,b\n"
ROW = [{"path": "a", "label": "b"}]


def check(columns: set[str]) -> None:
    if not {"path", "label"} <= columns:
        raise PneumoError(f"needs path and label; it has {', '.join(sorted(columns))}")


def read(path: Path, content: bytes) -> list[dict[str, str]]:
    path.write_bytes(content)
    return [cells for _, cells in read_rows(path, "manifest", check)]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\r\r\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        "sep=,\n" + PLAIN,
        "sep=;\r\npath;label\r\na;b",
        '"sep=\t"\npath\tlabel\na\tb',
        "SEP=~\npath~label\na~b",
        "\n,,\n" + PLAIN,
        PLAIN + ",,\n , \n\n",
        " Path ; LABEL ;\na;b;\n;;\n",
        'path, "label"\na, "b"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_forms(tmp_path: Path, text: str, encoding: str) -> None:
    if encoding.startswith("utf-16-") and not text[:1].isascii():
        pytest.skip("detected by its first character")
    rows = read(tmp_path / "t.csv", text.encode(encoding))
    assert [{key: row[key] for key in ("path", "label")} for row in rows] == ROW
    assert {"path", "label"} <= read_header(tmp_path / "t.csv")


CELLS = st.text(st.sampled_from('abñÜß é,;"|\n1'), min_size=1, max_size=8).map(str.strip)


@given(
    cells=st.lists(st.tuples(CELLS.filter(bool), CELLS), min_size=1, max_size=4),
    separator=st.sampled_from(",;\t|"),
    declared=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    separator: str,
    declared: bool,
    encoding: str,
    end: str,
) -> None:
    out = io.StringIO(newline="")
    # The writer quotes only the line ends that it writes.
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(["path", "Größe", "label"])
    writer.writerows([(path, "é", label) for path, label in cells])
    head = f"sep={separator}{end}" if declared else ""
    content = (head + out.getvalue()).encode(encoding)
    rows = read(tmp_path_factory.getbasetemp() / "t.csv", content)
    assert [(row["path"], row["label"]) for row in rows] == cells
    assert {row["grösse"] for row in rows} == {"é"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "separator comma, encoding utf-8"),
        (b"a;b;c\n1;2;3", "it has a, b, c .read with separator semicolon"),
        (b"PK\x03\x04", "is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0", "is an Excel workbook"),
        (b"\x89PNG\r\n\0\0\0", "is not a text file; save it as CSV"),
        (b"\xff\xfea\0b", "can't be decoded as utf-16; save it as CSV"),
        (b'path,label\n"a,b\nc,d\n', "line 2: a quote is not closed"),
        (b"path,label\na,b,c\n", "line 2: 3 cells for 2 columns; quote cells that contain a comma"),
        (b"path,label,Path\na,b,c\n", "column path occurs twice"),
    ],
)
def test_unreadable_tables(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(PneumoError, match=message):
        read(tmp_path / "t.csv", content)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('sep=;\npath;label\n;;\n"a\nb";c\nd;e\n')
    assert [line for line, _ in read_rows(path, "manifest", check)] == [5, 6]
