import hashlib
from pathlib import Path

import pytest

from schema.files import (
    atomic_file,
    atomic_folder,
    has_pattern,
    literal_path,
    read_json,
    sha256_of_file,
    write_atomically,
)


@pytest.mark.parametrize("text", ["", "one\n", "é \N{DAGGER}\r\n" * 1000])
def test_write_atomically(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.html"
    write_atomically(file, "before")
    write_atomically(file, text)
    assert file.read_bytes().decode() == text
    write_atomically(file, b"\xff.jpeg".decode(errors="surrogateescape"))
    assert file.read_text() == "\\udcff.jpeg"
    assert list(tmp_path.iterdir()) == [file]


def test_failure_keeps_the_previous_file(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    write_atomically(file, "before")
    with pytest.raises(OSError, match="full"), atomic_file(file) as stream:
        stream.write(b"aft")
        raise OSError("full")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_sha256_of_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    assert sha256_of_file(file) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_read_json(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    assert read_json(file) is None
    assert read_json(tmp_path) is None
    file.write_text('{"seed": 1}')
    assert read_json(file) == {"seed": 1}


def test_atomic_folder_replaces_only_when_complete(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (tmp_path / ".set.partial" / "left by a killed process").mkdir(parents=True)
    with atomic_folder(folder) as partial:
        (partial / "image").touch()
    with pytest.raises(KeyboardInterrupt), atomic_folder(folder) as partial:
        (partial / "other").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.rglob("*")) == [folder, folder / "image"]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        *((name, True) for name in ("run [v2]", "a*", "why?", "back\\slash", "[", "[a]/b")),
        *((name, False) for name in ("a]", "k=v", "#1", "100%", "é x", "{a}", "~", "a,b", "a:b")),
    ],
)
def test_paths_that_are_patterns(tmp_path: Path, name: str, pattern: bool) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "file").touch()
    assert has_pattern(folder) is pattern
    with literal_path(folder) as path:
        assert (path == folder) is not pattern
        assert not has_pattern(path)
        assert [file.name for file in path.iterdir()] == ["file"]
