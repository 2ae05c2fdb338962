"""The folder of the RSNA challenge, as downloaded and in common variants."""

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.ingest.source.rsna import find_tables
from schema.errors import PneumoError
from schema.files import read_lines
from tests.core.ingest.trees import boxes, files_below, jpeg, put, records, rows, run
from tests.support.images.synthetic import gray

pytest.importorskip("pydicom", reason="needs the extra `dicom`")

LABELS = "patientId,x,y,width,height,Target"
CLASSES = "patientId,class"
N = 24


def patient(n: int) -> str:
    return f"{n:08x}-0000-4000-8000-00000000abcd"


def picture(n: int) -> bytes:
    from tests.support.images.dicoms import make_dataset, to_bytes

    dataset = make_dataset(
        gray(64, 64, n),
        planted=False,
        PatientID=patient(n),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        ViewPosition="AP" if n % 2 else "PA",
    )
    return to_bytes(dataset)


def tables(root: Path, stage: str = "stage_2_") -> None:
    """Writes tables: a third with an opacity (half of them with two boxes), normal, other."""
    labels, classes = [LABELS], [CLASSES]
    for n in range(N):
        if n % 3 == 0:
            labels += [f"{patient(n)},{8.0 + 30 * k},16.0,16.0,32.0,1" for k in range(1 + n % 2)]
            classes += [f"{patient(n)},Lung Opacity"] * (1 + n % 2)
        else:
            kind = "Normal" if n % 3 == 1 else "No Lung Opacity / Not Normal"
            labels.append(f"{patient(n)},,,,,0")
            classes.append(f"{patient(n)},{kind}")
    put(root / f"{stage}train_labels.csv", "\n".join(labels).encode())
    put(root / f"{stage}detailed_class_info.csv", "\n".join(classes).encode())


def challenge(root: Path, folder: str = "stage_2_train_images", stage: str = "stage_2_") -> Path:
    tables(root, stage)
    for n in range(N):
        put(root / folder / f"{patient(n)}.dcm", picture(n))
    put(root / "stage_2_test_images/00000000-test.dcm", picture(99))
    put(root / "GCP Credits Request Link - RSNA.txt", b"x")
    return root


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    root = tmp_path_factory.mktemp("rsna")
    source = challenge(root / "s")
    return source, root / "d", run(source, root / "d")


def test_labels_boxes_and_patients(ingested: tuple[Path, Path, Any]) -> None:
    _, dest, summary = ingested
    found = {row["patient_id"]: row for row in rows(dest)}
    assert (summary.layout, summary.policy, summary.written) == ("rsna", "patient", N)
    assert set(found) == {patient(n) for n in range(N)}
    relative = boxes(dest)
    for n in range(N):
        row = found[patient(n)]
        assert row["pathogen"] == ("unknown", "normal", "other")[n % 3]
        assert row["filename"] == f"stage_2_train_images/{patient(n)}.dcm"
        assert row["source"] == ("rsna-AP" if n % 2 else "rsna-PA")
        assert row["boxes"] == (1 + n % 2 if n % 3 == 0 else 0)
        expected = [
            (0.25, (8 + 30 * k) / 64, 0.75, (24 + 30 * k) / 64) for k in range(row["boxes"])
        ]
        assert relative[row["filename"]] == [pytest.approx(box) for box in expected]
    assert summary.boxes["read"] == summary.boxes["written"] == 12
    assert summary.skipped == {"*.csv": 2, "*.txt": 1, "not in the labels": 1}
    assert sum(split["images"] for split in summary.boxes["splits"].values()) == 8


def test_pixels_are_unchanged(ingested: tuple[Path, Path, Any]) -> None:
    for record in records(ingested[1]):
        n = int(record["patient_id"][0][:8], 16)
        with Image.open(io.BytesIO(record["image/encoded"][0])) as opened:
            np.testing.assert_array_equal(np.asarray(opened), gray(64, 64, n))
        assert record["image/format"] == [b"png"]


def test_output_does_not_depend_on_the_workers(
    ingested: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    source, dest, _ = ingested
    args = ("--direct_running_mode=multi_threading", "--direct_num_workers=2")
    run(source, tmp_path / "d", args=args)
    assert files_below(tmp_path / "d") == files_below(dest)
    assert run(source, tmp_path / "d").reused


@pytest.mark.parametrize(
    ("root", "folder", "stage"),
    [
        ("", "stage_1_train_images", "stage_1_"),
        ("rsna-pneumonia-detection-challenge", "stage_2_train_images", "stage_2_"),
        ("", "train", ""),
        ("", "images", "stage_2_"),
        ("", "somewhere/else", "stage_2_"),
    ],
)
def test_folder_names(tmp_path: Path, root: str, folder: str, stage: str) -> None:
    challenge(tmp_path / "s" / root, folder, stage)
    summary = run(tmp_path / "s", tmp_path / "d")
    assert (summary.layout, summary.written, summary.boxes["written"]) == ("rsna", N, 12)


def test_one_table_with_all_columns_and_png_files(tmp_path: Path) -> None:
    lines = [f"{LABELS},class,age,sex"]
    for n in range(9):
        tail = ("1,1,20,30,1,Lung Opacity", ",,,,0,Normal", ",,,,0,No Lung Opacity / Not Normal")
        lines.append(f"{patient(n)},{tail[n % 3]},40,M")
        put(tmp_path / f"s/Images/{patient(n)}.png", jpeg(n))
    put(tmp_path / "s/stage2_train_metadata.csv", "\n".join(lines).encode())
    summary = run(tmp_path / "s", tmp_path / "d")
    assert sum(sum(c.values()) for c in summary.splits.values()) == 9
    assert {row["source"] for row in rows(tmp_path / "d")} == {"rsna"}


def test_contradictory_and_incomplete_tables(tmp_path: Path) -> None:
    source = challenge(tmp_path / "s")
    labels, classes = (
        source / "stage_2_train_labels.csv",
        source / "stage_2_detailed_class_info.csv",
    )
    with labels.open("a") as out:
        out.write(f"\n{patient(1)},1,2,3,4,1")  # was 0
        out.write("\nnobody,1,2,3,4,1")
        out.write(f"\n{patient(90)},,,,,0")  # without a class
    with classes.open("a") as out:
        out.write(f"\n{patient(2)},Normal\nnobody,Lung Opacity")  # was the other
    put(source / f"stage_2_train_images/{patient(90)}.dcm", picture(90))
    put(source / f"again/{patient(4)}.dcm", picture(4))
    summary = run(source, tmp_path / "d")
    assert summary.reasons == {"contradictory": 2, "missing": 1, "unknown_class": 1}
    assert summary.skipped["second copy"] == 1
    assert summary.boxes["reasons"] == {"box_no_image": 2}
    names = {row["filename"] for row in rows(tmp_path / "d")}
    assert f"stage_2_train_images/{patient(4)}.dcm" in names
    files = {row["file"]: row["reason"] for row in read_lines(tmp_path / "d/rejects.jsonl")}
    assert files["nobody"] in ("missing", "box_no_image")


def test_tables_that_are_not_utf_8(tmp_path: Path) -> None:
    source = challenge(tmp_path / "s")
    put(source / "stage_2_train_images" / os.fsdecode(b"M\xfcller.dcm"), picture(90))
    with (source / "stage_2_train_labels.csv").open("ab") as out:
        out.write(b"\nM\xfcller,1,2,3,4,1\nJos\xe9,,,,,0\n%b,,,,,0" % patient(91).encode())
    with (source / "stage_2_detailed_class_info.csv").open("ab") as out:
        out.write(b"\nM\xfcller,Lung Opacity\nJos\xe9,Normal\n%b,\xe9" % patient(91).encode())
    put(source / f"stage_2_train_images/{patient(91)}.dcm", picture(91))
    summary = run(source, tmp_path / "d")
    assert summary.reasons == {"missing": 1, "unknown_class": 1}
    assert (summary.written, summary.boxes["written"]) == (N + 1, 13)
    assert r"M\xfcller" in {row["patient_id"] for row in rows(tmp_path / "d")}
    assert "José" in {row["file"] for row in read_lines(tmp_path / "d/rejects.jsonl")}


@pytest.mark.parametrize(
    ("targets", "separator", "write"),
    [
        (("0.0", "1.0"), ",", str),
        (("0,0", "1,0"), ";", str.upper),
        (("0", "1"), "\t", lambda name: f"{name}.dcm"),
    ],
)
def test_tables_as_pandas_and_spreadsheets_write_them(
    tmp_path: Path, targets: tuple[str, str], separator: str, write: Callable[[str], str]
) -> None:
    source = tmp_path / "s"
    labels, classes = [LABELS], [CLASSES]
    for n in range(8):
        put(source / f"images/{patient(n)}.png", jpeg(n))
        box = "8.0,16.0,16.0,32.0" if n % 2 else ",,,"
        values = [write(patient(n)), *box.split(","), targets[n % 2]]
        labels.append(",".join(f'"{value}"' for value in values))
        classes.append(f"{write(patient(n))},{'lung opacity' if n % 2 else 'NORMAL'}")
    for name, lines in (("train_labels", labels), ("detailed_class_info", classes)):
        text = "\n".join(lines)
        if separator != ",":
            text = "\n".join(separator.join(row) for row in csv.reader(lines))
        put(source / f"stage_2_{name}.csv", text.encode())
    summary = run(source, tmp_path / "d")
    assert (summary.layout, summary.written, summary.boxes["written"]) == ("rsna", 8, 4)
    assert {row["patient_id"] for row in rows(tmp_path / "d")} == {patient(n) for n in range(8)}


def test_missing_or_invalid_tables(tmp_path: Path) -> None:
    put(tmp_path / "s/NORMAL/a.jpeg", jpeg(0))
    with pytest.raises(PneumoError, match="layout rsna"):
        run(tmp_path / "s", tmp_path / "d", layout="rsna")
    put(tmp_path / "s/stage_2_train_labels.csv", f"{LABELS}\na,,,,,2".encode())
    with pytest.raises(PneumoError, match=r"stage_2_detailed_class_info\.csv"):
        run(tmp_path / "s", tmp_path / "d")
    put(tmp_path / "s/stage_2_detailed_class_info.csv", f"{CLASSES}\na,Normal".encode())
    with pytest.raises(PneumoError, match="line 2: no patientId, Target 0 or 1"):
        run(tmp_path / "s", tmp_path / "d")


def test_other_tables_are_ignored(tmp_path: Path) -> None:
    put(tmp_path / "train_labels.csv", b"name,label\na,b")
    assert find_tables(tmp_path) is None
    assert find_tables(tmp_path / "nowhere") is None


def test_phantoms_in_rsna_layout(tmp_path: Path) -> None:
    from core.phantom.dataset import write_phantoms

    phantoms = write_phantoms(tmp_path / "s", 24, 0, size=64, layout="rsna")
    summary = run(tmp_path / "s", tmp_path / "d")
    assert (summary.layout, summary.synthetic, summary.written) == ("rsna", True, 24)
    assert summary.boxes["written"] == phantoms.boxes > 0
    assert {row["source"] for row in rows(tmp_path / "d")} == {"synthetic"}
