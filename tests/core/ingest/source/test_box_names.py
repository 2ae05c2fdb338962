"""Boxes find their images as the rows of a manifest do; decimal commas are read."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.catalog.database import Catalog
from core.ingest.scan import SourceEntry
from core.ingest.source.boxes import add_box

PATHS = ["one/niño.jpeg", "two/Größe 1.jpeg", "two/x.jpeg", "y.jpeg"]


@given(
    names=st.lists(st.sampled_from(range(len(PATHS))), min_size=1, max_size=4),
    form=st.sampled_from(["NFC", "NFD"]),
    write=st.sampled_from([str.upper, str.strip, lambda name: name.replace("/", "\\")]),
    suffix=st.sampled_from(["", ".jpeg", ".dcm"]),
    base=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_names_are_matched_as_in_a_manifest(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[int],
    form: Literal["NFC", "NFD"],
    write: Callable[[str], str],
    suffix: str,
    base: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    catalog = Catalog(folder / "catalog")
    catalog.files.add_entries(SourceEntry(path, "file") for path in PATHS)
    for path in PATHS:
        catalog.files.label(path, "normal")
    for line, n in enumerate(names):
        name = PATHS[n].rpartition("/")[2] if base else PATHS[n]
        name = write(unicodedata.normalize(form, name.removesuffix(".jpeg"))) + suffix
        add_box(
            catalog, line, {"filename": name, "x": "1", "y": "2", "width": "3", "height": "4,5"}
        )
    catalog.boxes.match_files(folder, folder)
    assert list(catalog.boxes.rejects()) == []
    for n, path in enumerate(PATHS):
        assert len(catalog.boxes.of_file(path)) == names.count(n)
    catalog.close()


def test_hints_of_rejected_boxes(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    paths = ["one/same.png", "two/same.png", "one/other.png", "a/p.dcm", "b/p.dcm"]
    catalog.files.add_entries(SourceEntry(path, "file") for path in paths)
    for path in paths:
        catalog.files.label(path, "normal")
    for line, name in enumerate(["same", "othr", "zzz", "p"], 2):
        add_box(catalog, line, {"filename": name, "x": "1", "y": "2", "width": "3", "height": "4"})
    catalog.boxes.match_files(tmp_path, tmp_path)
    assert {row["detail"]: row["reason"] for row in catalog.boxes.rejects()} == {
        "line 2 of the boxes; fits one/same.png and two/same.png": "box_ambiguous",
        "line 3 of the boxes; did you mean one/other.png?": "box_no_image",
        "line 4 of the boxes": "box_no_image",
        "line 5 of the boxes; fits 2 files": "box_ambiguous",
    }
    catalog.close()


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("1.5", 1.5), ("1,5", 1.5), ("-3,25", -3.25), ("1,024", None), ("1.024,5", None)],
)
def test_decimal_commas(tmp_path: Path, text: str, number: float | None) -> None:
    catalog = Catalog(tmp_path / "catalog")
    catalog.files.add_entries([])
    add_box(catalog, 2, {"filename": "a", "x": text, "y": "2", "width": "3", "height": "4"})
    assert bool(catalog.boxes.counts()["rejected"]) == (number is None)
    catalog.close()
