"""A table may write the name of a file in another form, if only one file fits."""

import os
import unicodedata
from pathlib import Path

import pytest

from core.ingest.names.matching import (
    alternatives,
    best_matches,
    may_identify,
    portable_path,
    relative_to_source,
)

FILES = [
    "images/a.jpeg",
    "images/B.JPG",
    "images/niño.png",
    "one/same.png",
    "two/same.png",
    "one/Case.png",
    "two/case.png",
    "stem.jpeg",
    "stem.png",
    "1.2.840.1",
    "win\\dows.png",
    os.fsdecode(b"M\xfcller.png"),
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("images/a.jpeg", ["images/a.jpeg"]),
        ("images\\a.jpeg", ["images/a.jpeg"]),
        (".\\images\\a.jpeg", ["images/a.jpeg"]),
        ("./images//a.jpeg", ["images/a.jpeg"]),
        ("a.jpeg", ["images/a.jpeg"]),
        ("a", ["images/a.jpeg"]),
        ("A.JPEG", ["images/a.jpeg"]),
        ("a.dcm", ["images/a.jpeg"]),
        ("Images/b.jpeg", ["images/B.JPG"]),
        (unicodedata.normalize("NFD", "niño.png"), ["images/niño.png"]),
        ("NIÑO", ["images/niño.png"]),
        ("two/same.png", ["two/same.png"]),
        ("same.png", ["one/same.png", "two/same.png"]),
        ("case.png", ["two/case.png"]),
        ("CASE.png", ["one/Case.png", "two/case.png"]),
        ("stem.png", ["stem.png"]),
        ("stem", ["stem.jpeg", "stem.png"]),
        ("1.2.840.1", ["1.2.840.1"]),
        ("1.2.840.2", []),
        ("win/dows.png", ["win\\dows.png"]),
        ("Müller.png", [os.fsdecode(b"M\xfcller.png")]),
        ("b/a.jpeg", []),
        ("", []),
    ],
)
def test_best_matches(name: str, expected: list[str]) -> None:
    assert best_matches(portable_path(name), FILES) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/images/x.jpeg", ["x.jpeg"]),
        ("images/x.jpeg", ["x.jpeg"]),
        ("data/x.jpeg", []),
        ("x.jpeg", []),
        ("C:/Users/a/x.jpeg", ["Users/a/x.jpeg", "a/x.jpeg", "x.jpeg"]),
    ],
)
def test_folders_of_the_source_and_of_another_machine(path: str, expected: list[str]) -> None:
    assert list(alternatives(path, Path("/home/me/Data/images"))) == expected


def test_absolute_paths_through_links(tmp_path: Path) -> None:
    source = tmp_path / "real/data"
    (source / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "direct").symlink_to(source)
    (tmp_path / "elsewhere").mkdir()
    (source / "inner").symlink_to(tmp_path / "elsewhere")
    tables = tmp_path / "tables"
    tables.mkdir()

    def relative(path: object) -> str:
        return relative_to_source(str(path), source.resolve(), tables)

    for root in (source, tmp_path / "link/data", tmp_path / "direct"):
        assert relative(root / "sub/x.png") == "sub/x.png"
        assert relative(root / "inner/x.png") == "inner/x.png"
    assert relative("../real/data/x.png") == "x.png"
    assert relative("../x.png") == "../x.png"
    assert relative(tmp_path / "x.png") == str(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("path", "expected"), [("a.jpeg", False), ("a.DCM", True), ("1.2.840", True), ("a", True)]
)
def test_names_of_dicom_files_may_identify(path: str, expected: bool) -> None:
    assert may_identify(path) is expected
