"""`--layout rsna`: what a reader of the challenge's files finds."""

import csv
import io
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from core.phantom.cohort import SyntheticPatient
from core.phantom.dataset import PhantomSummary, write_phantoms
from core.phantom.layouts import ImageRequest, RsnaLayout
from pipeline.commands.data.phantom import command
from schema.errors import PneumoError

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")

N, SEED, SIZE = 30, 5, 96


@pytest.fixture(scope="module")
def rsna(tmp_path_factory: pytest.TempPathFactory) -> PhantomSummary:
    return write_phantoms(
        tmp_path_factory.mktemp("rsna") / "set", N, SEED, layout="rsna", size=SIZE
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_layout(rsna: PhantomSummary) -> None:
    assert sorted(path.name for path in rsna.dest.iterdir()) == [
        "SYNTHETIC.txt",
        "stage_2_detailed_class_info.csv",
        "stage_2_train_images",
        "stage_2_train_labels.csv",
    ]
    assert rsna.source == rsna.dest
    assert rsna.images == rsna.patients == N
    assert sum(rsna.splits["all"].values()) == N
    text = (rsna.dest / "SYNTHETIC.txt").read_text()
    assert "layout: rsna" in text
    assert "boxes are in stage_2_train_labels.csv" in text


def test_tables_agree_with_each_other_and_with_the_files(rsna: PhantomSummary) -> None:
    labels = rows_of(rsna.dest / "stage_2_train_labels.csv")
    classes = rows_of(rsna.dest / "stage_2_detailed_class_info.csv")
    assert list(labels[0]) == ["patientId", "x", "y", "width", "height", "Target"]
    assert list(classes[0]) == ["patientId", "class"]
    assert [row["patientId"] for row in labels] == [row["patientId"] for row in classes]
    assert sum(row["Target"] == "1" for row in labels) == rsna.boxes > 0
    files = {path.stem for path in (rsna.dest / "stage_2_train_images").iterdir()}
    assert {row["patientId"] for row in labels} == files
    assert len(files) == N
    for label, row in zip(labels, classes, strict=True):
        assert (label["Target"] == "1") == (row["class"] == "Lung Opacity")
        numbers = [label[name] for name in ("x", "y", "width", "height")]
        if label["Target"] == "0":
            assert numbers == [""] * 4
            assert row["class"] in ("Normal", "No Lung Opacity / Not Normal")
        else:
            x, y, width, height = map(float, numbers)
            assert 0 <= x < x + width <= SIZE
            read = pydicom.dcmread(rsna.dest / "stage_2_train_images" / f"{label['patientId']}.dcm")
            assert 0 <= y < y + height <= read.Rows
    patients = {row["patientId"]: row["class"] for row in classes}
    names = {"bacteria": "Lung Opacity", "normal": "Normal"}
    expected = Counter(
        {names.get(k, "No Lung Opacity / Not Normal"): v for k, v in rsna.splits["all"].items()}
    )
    assert Counter(patients.values()) == expected


def test_attributes_equal_those_of_the_challenge(rsna: PhantomSummary) -> None:
    seen: dict[str, set[str]] = {"SOPInstanceUID": set(), "StudyInstanceUID": set()}
    for path in (rsna.dest / "stage_2_train_images").iterdir():
        read = pydicom.dcmread(path)
        assert read.file_meta.TransferSyntaxUID.name == "JPEG Baseline (Process 1)"
        assert read.SOPClassUID.name == "Secondary Capture Image Storage"
        assert (read.Modality, read.PhotometricInterpretation) == ("CR", "MONOCHROME2")
        assert (read.BitsAllocated, read.BitsStored, read.HighBit) == (8, 8, 7)
        assert read.PatientID == str(read.PatientName) == path.stem
        assert read.pixel_array.shape == (read.Rows, read.Columns)
        assert read.Columns == SIZE
        assert 1.5 < read.PixelSpacing[0] < 4.0  # a chest of 20 cm in 96 pixels
        assert read.PatientAge[-1] in "MY" and int(read.PatientAge[:3]) > 0
        assert read.QualityControlSubject == "YES"
        assert "SYNTHETIC" in read.ImageComments
        assert path.name.startswith("synthetic-")
        assert "SYNTHETIC" in Image.open(io.BytesIO(frame(read))).info["comment"].decode()
        for keyword, values in seen.items():
            values.add(read[keyword].value)
    assert {len(values) for values in seen.values()} == {N}


def frame(dataset: Any) -> bytes:
    from pydicom.encaps import generate_frames

    return next(generate_frames(dataset.PixelData, number_of_frames=1))


def test_images_equal_those_of_the_other_layout(rsna: PhantomSummary, tmp_path: Path) -> None:
    """The first of each patient, to the byte of its JPEG."""
    other = write_phantoms(tmp_path / "set", 30, SEED, size=SIZE)
    shown = {path.read_bytes() for path in other.dest.rglob("*.jpeg")}
    inside = [
        frame(pydicom.dcmread(path)).rstrip(b"\0")
        for path in (rsna.dest / "stage_2_train_images").iterdir()
    ]
    assert len(shown & set(inside)) == other.patients


def test_opacity_outside_the_image_has_no_box() -> None:
    request = ImageRequest(0, SyntheticPatient(0, "bacteria", 0, 1), 0, "all", 92)
    rows = RsnaLayout().rows(request, ())
    assert rows["stage_2_train_labels.csv"][0][-1] == 0
    assert rows["stage_2_detailed_class_info.csv"][0][1] == "No Lung Opacity / Not Normal"


def test_command(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "set"), "--layout", "rsna", "--n", "3", "--size", "64"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "3 synthetic radiographs of 3 synthetic patients" in result.output
    assert f"next: pneumo ingest {tmp_path / 'set'} {tmp_path / 'set-records'}" in result.output
    assert len(list(tmp_path.rglob("*.dcm"))) == 3


def test_without_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(PneumoError, match=r"pneumo-tfx\[dicom\]") as caught:
        write_phantoms(tmp_path / "set", 3, 0, layout="rsna", size=64)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
