import os
from pathlib import Path

import pytest

from pipeline.watch.inbox import PARTIAL, Taken, take_in
from schema.errors import PneumoError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    inbox, data = tmp_path / "inbox", tmp_path / "data"
    (inbox / "NORMAL").mkdir(parents=True)
    (inbox / "NORMAL" / "a.png").write_bytes(b"a")
    return inbox, data


def test_copies_and_does_not_copy_again(folders: tuple[Path, Path]) -> None:
    inbox, data = folders
    os.utime(inbox / "NORMAL" / "a.png", (5, 5))

    assert take_in(inbox, data, lambda _: True) == Taken(1, 0, ())
    assert take_in(inbox, data, lambda _: True) == Taken(0, 0, ())

    there = data / "NORMAL" / "a.png"
    assert (there.read_bytes(), there.stat().st_mtime) == (b"a", 5)
    assert (inbox / "NORMAL" / "a.png").is_file()


@pytest.mark.parametrize(
    ("content", "conflicts"), [(b"a", ()), (b"b", ("NORMAL/a.png",)), (b"aa", ("NORMAL/a.png",))]
)
def test_never_overwrites(
    folders: tuple[Path, Path], content: bytes, conflicts: tuple[str, ...]
) -> None:
    inbox, data = folders
    (data / "NORMAL").mkdir(parents=True)
    (data / "NORMAL" / "a.png").write_bytes(content)
    os.utime(data / "NORMAL" / "a.png", (5, 5))

    assert take_in(inbox, data, lambda _: True) == Taken(0, 0, conflicts)
    assert (data / "NORMAL" / "a.png").read_bytes() == content


def test_goes_on_after_a_kill(folders: tuple[Path, Path]) -> None:
    inbox, data = folders
    (data / "NORMAL").mkdir(parents=True)
    (data / "NORMAL" / f".a.png{PARTIAL}").write_bytes(b"ha")

    assert take_in(inbox, data, lambda _: True).copied == 1
    assert [path.name for path in (data / "NORMAL").iterdir()] == ["a.png"]


def test_leaves_what_has_not_come_to_rest(folders: tuple[Path, Path]) -> None:
    inbox, data = folders

    assert take_in(inbox, data, lambda _: False) == Taken(0, 1, ())
    assert take_in(inbox, data, lambda _: True, dry=True) == Taken(1, 0, ())
    assert not data.exists()


@pytest.mark.parametrize("nested", [".", "data"])
def test_one_folder_within_the_other(tmp_path: Path, nested: str) -> None:
    inbox = tmp_path / "inbox"
    (inbox / nested).mkdir(parents=True)

    with pytest.raises(PneumoError, match="within each other"):
        take_in(inbox, inbox / nested, lambda _: True)


def test_a_full_or_closed_disk_is_one_line(folders: tuple[Path, Path]) -> None:
    inbox, data = folders
    data.write_text("a file where a folder should be")

    with pytest.raises(PneumoError, match=r"cannot copy .*; make room"):
        take_in(inbox, data, lambda _: True)
