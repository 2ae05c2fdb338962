from pathlib import Path

import pytest

from schema.files import atomic, read_json, write_atomically


@pytest.mark.parametrize("text", ["", "one\n", "é \N{DAGGER}\r\n" * 1000])
def test_what_is_written_is_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.html"
    write_atomically(file, "before")
    write_atomically(file, text)
    assert file.read_bytes().decode() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_name_that_is_not_utf8_can_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "page.html", b"\xff.jpeg".decode(errors="surrogateescape"))
    assert (tmp_path / "page.html").read_text() == "\\udcff.jpeg"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    write_atomically(file, "before")
    with pytest.raises(OSError, match="full"), atomic(file) as stream:
        stream.write(b"aft")
        raise OSError("full")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_read_json(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    assert read_json(file) is None
    assert read_json(tmp_path) is None
    file.write_text('{"seed": 1}')
    assert read_json(file) == {"seed": 1}
