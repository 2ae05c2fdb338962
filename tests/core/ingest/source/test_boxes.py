"""Every box of a table is written, relative to its image, or rejected with a reason."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.ingest.catalog.database import Catalog
from core.ingest.scan import SourceEntry
from core.ingest.source.boxes import add_box
from schema.errors import PneumoError
from schema.files import read_lines
from tests.core.ingest.trees import (
    boxes,
    change_before_write,
    checked,
    official,
    put,
    rows,
    run,
    write,
)
from tests.support.images.synthetic import encode, exif, gray


def table(path: Path, header: str, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def clip(path: Path, box: Any, height: int, width: int) -> tuple[list[Any], str]:
    """Returns the boxes of an image with a single box, and the reason if it was rejected."""
    catalog = Catalog(path)
    catalog.files.add_entries([SourceEntry("a", "file")])
    catalog.files.label("a", "normal")
    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(repr, box), strict=True))
    add_box(catalog, 2, {"filename": "a", **corners})
    catalog.boxes.match_files(path.parent, path.parent)
    catalog.files.add_check(checked("a", height=height, width=width), sort_key="")
    catalog.boxes.clip()
    reason = next((row["reason"] for row in catalog.boxes.rejects()), "")
    boxes = catalog.boxes.of_file("a")
    catalog.close()
    return boxes, reason


@pytest.mark.parametrize(
    ("box", "expected", "reason"),
    [
        ((10, 20, 30, 60), (0.2, 0.1, 0.6, 0.3), ""),
        ((0, 0, 100, 100), (0, 0, 1, 1), ""),
        ((-5, -5, 50, 50), (0, 0, 0.5, 0.5), ""),
        ((50, 50, 500, 500), (0.5, 0.5, 1, 1), ""),
        ((10, 20, 10, 60), None, "box_empty"),
        ((30, 20, 10, 60), None, "box_empty"),
        ((100, 20, 130, 60), None, "box_outside"),
        ((-30, 20, 0, 60), None, "box_outside"),
        ((float("nan"), 20, 30, 60), None, "box_no_number"),
        ((10, 20, float("inf"), 60), None, "box_no_number"),
    ],
)
def test_clip(tmp_path: Path, box: Any, expected: Any, reason: str) -> None:
    clipped, why = clip(tmp_path / "catalog", box, 100, 100)
    assert clipped == ([pytest.approx(expected)] if expected else [])
    assert why == reason


@given(st.tuples(*[st.floats(allow_nan=True)] * 4), st.integers(1, 5000), st.integers(1, 5000))
def test_clipped_box_is_inside_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, box: Any, height: int, width: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "catalog"
    clipped, reason = clip(path, box, height, width)
    assert bool(clipped) != bool(reason)
    for top, left, bottom, right in clipped:
        assert 0 <= top < bottom <= 1
        assert 0 <= left < right <= 1


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("filename,xmin,ymin,xmax,ymax", "{},8,16,32,48"),
        ("Path, x, y, width, height", "{},8,16,24,32"),
        ("patientId,x,y,width,height,Target", "{},8.0,16.0,24.0,32.0,1"),
    ],
)
@pytest.mark.parametrize("name", ["train/NORMAL/a1.jpeg", "train/NORMAL/a1", "a1.jpeg", "a1"])
def test_names_of_images_in_a_table(tmp_path: Path, header: str, line: str, name: str) -> None:
    source = write(tmp_path / "s", [f"train/NORMAL/a{n}.jpeg" for n in range(3)])
    csv_file = table(tmp_path / "b.csv", header, [line.format(name)])
    summary = run(source, tmp_path / "d", boxes=csv_file)
    expected = {"train/NORMAL/a0.jpeg": [], "train/NORMAL/a2.jpeg": []}
    expected["train/NORMAL/a1.jpeg"] = [pytest.approx((0.25, 0.125, 0.75, 0.5))]
    assert boxes(tmp_path / "d") == expected
    assert {row["filename"]: row["boxes"] for row in rows(tmp_path / "d")} == {
        key: len(value) for key, value in expected.items()
    }
    assert (summary.boxes["read"], summary.boxes["written"], summary.boxes["rejected"]) == (1, 1, 0)


def test_every_box_is_accounted_for(tmp_path: Path) -> None:
    source = official(tmp_path / "s")
    put(source / "train/NORMAL/bad.jpeg", b"")
    write(source, ["train/NORMAL/twin.jpeg", "test/NORMAL/twin.jpeg"], first_seed=900)
    good = "train/NORMAL/IM-0001-0001.jpeg"
    lines = [
        f"{good},1,2,30,40",
        f"{good},1,2,30,40",  # duplicate
        f"{good},-9,2,30,900",  # clipped
        f"{good},30,2,30,40",  # empty
        f"{good},nan,2,30,40",
        f"{good},a,2,30,40",
        f"{good},64,2,70,40",  # outside
        f"{good},,,,",  # no box
        f"{good},1,2,,",  # half a box
        "test/PNEUMONIA/person900_virus_0.jpeg,5,5,6,6",
        "nowhere.jpeg,1,2,3,4",
        "twin,1,2,3,4",
        "train/NORMAL/bad.jpeg,1,2,3,4",
        ",1,2,3,4",
    ]
    csv_file = table(tmp_path / "b.csv", "filename,xmin,ymin,xmax,ymax", lines)
    summary = run(source, tmp_path / "d", boxes=csv_file)
    assert summary.boxes == {
        "read": 13,
        "written": 3,
        "clipped": 1,
        "rejected": 10,
        "reasons": {
            "box_ambiguous": 1,
            "box_duplicate": 1,
            "box_empty": 1,
            "box_no_image": 2,
            "box_no_number": 3,
            "box_of_rejected_image": 1,
            "box_outside": 1,
        },
        "splits": {
            "train": {"images": 1, "boxes": 2},
            "val": {"images": 0, "boxes": 0},
            "test": {"images": 1, "boxes": 1},
        },
    }
    rejects = list(read_lines(tmp_path / "d/rejects.jsonl"))
    box_rejects = [row for row in rejects if "box" in row]
    assert Counter(row["reason"] for row in box_rejects) == summary.boxes["reasons"]
    assert {row["box"] for row in box_rejects} == {3, 5, 6, 7, 8, 10, 12, 13, 14, 15}
    assert len(rejects) - len(box_rejects) == summary.rejected == 1
    # The image of a rejected box stays.
    assert len(boxes(tmp_path / "d")[good]) == 2


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_boxes_refer_to_the_displayed_image(tmp_path: Path, turn: int) -> None:
    picture = encode(Image.fromarray(gray(60, 80)), "JPEG", exif=exif(turn))
    put(tmp_path / "s/NORMAL/a.jpeg", picture)
    csv_file = table(tmp_path / "b.csv", "filename,xmin,ymin,xmax,ymax", ["a.jpeg,30,15,60,30"])
    run(tmp_path / "s", tmp_path / "d", boxes=csv_file)
    high, wide = (60, 80) if turn < 5 else (80, 60)
    expected = (15 / high, 30 / wide, 30 / high, min(60 / wide, 1))
    assert boxes(tmp_path / "d")["NORMAL/a.jpeg"] == [pytest.approx(expected)]


def test_boxes_of_a_dicom_file_refer_to_rows_and_columns(tmp_path: Path) -> None:
    """The stored image has square pixels; the relative box is the same."""
    pytest.importorskip("pydicom")
    from tests.support.images.dicoms import make_dataset, to_bytes

    content = to_bytes(make_dataset(gray(40, 60), PixelSpacing=[0.3, 0.15]))
    put(tmp_path / "s/NORMAL/a.dcm", content)
    csv_file = table(tmp_path / "b.csv", "filename,xmin,ymin,xmax,ymax", ["a,15,10,30,20"])
    run(tmp_path / "s", tmp_path / "d", boxes=csv_file)
    assert boxes(tmp_path / "d")["NORMAL/a.dcm"] == [pytest.approx((0.25, 0.25, 0.5, 0.5))]
    (row,) = rows(tmp_path / "d")
    assert (row["height"], row["width"], row["dicom"]["rows"]) == (80, 60, 40)


def test_boxes_of_phantoms_are_detected(tmp_path: Path) -> None:
    from core.phantom.dataset import write_phantoms

    phantoms = write_phantoms(tmp_path / "p", 40, 0, size=64)
    assert phantoms.boxes
    with (tmp_path / "p/boxes.csv").open(newline="") as stream:
        expected = Counter(row["filename"] for row in csv.DictReader(stream))
    for n, source in enumerate((tmp_path / "p/chest_xray", tmp_path / "p")):
        summary = run(source, tmp_path / f"d{n}")
        assert summary.synthetic
        assert summary.boxes["read"] == summary.boxes["written"] == phantoms.boxes
        written = boxes(tmp_path / f"d{n}")
        prefix = "chest_xray/" * n
        assert {name: len(b) for name, b in written.items() if b} == {
            prefix + name: count for name, count in expected.items()
        }


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("filename,xmin,ymin,xmax", "needs the column filename"),
        ("x,y,width,height", "needs the column filename"),
        ("", "it has none"),
    ],
)
def test_missing_columns(tmp_path: Path, header: str, message: str) -> None:
    source = write(tmp_path / "s", ["NORMAL/a.jpeg"])
    csv_file = table(tmp_path / "b.csv", header, [])
    with pytest.raises(PneumoError, match=message):
        run(source, tmp_path / "d", boxes=csv_file)


def test_changed_table_prevents_reuse(tmp_path: Path) -> None:
    source = write(tmp_path / "s", ["NORMAL/a.jpeg"])
    header = "filename,xmin,ymin,xmax,ymax"
    csv_file = table(tmp_path / "b.csv", header, ["a,1,2,3,4"])
    run(source, tmp_path / "d", boxes=csv_file)
    assert run(source, tmp_path / "d", boxes=csv_file).reused
    table(csv_file, header, ["a,1,2,3,5"])
    with pytest.raises(PneumoError, match="another source or other options"):
        run(source, tmp_path / "d", boxes=csv_file)
    with pytest.raises(PneumoError, match=r"none\.csv does not exist"):
        run(source, tmp_path / "d", boxes=tmp_path / "none.csv")


def test_boxes_of_an_image_that_disappears_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "s", [f"NORMAL/a{n}.jpeg" for n in range(4)])
    csv_file = table(
        tmp_path / "b.csv", "filename,xmin,ymin,xmax,ymax", ["a1,1,2,3,4", "a2,1,2,3,4"]
    )
    change_before_write(monkeypatch, (source / "NORMAL/a1.jpeg").unlink)
    summary = run(source, tmp_path / "d", boxes=csv_file)
    assert summary.boxes["reasons"] == {"box_of_rejected_image": 1}
    assert summary.boxes["written"] == 1
    assert summary.reasons == {"changed_during_run": 1}
