"""A folder of reports, and the search for identities in all other outputs."""

import datetime
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schema.errors import PneumoError
from serving.dicom_out import Algorithm, ReportWriter
from serving.dicom_out.writer import _report_name
from serving.predict.prediction import Prediction, rejected
from tests.support.images import dicoms, identities

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")
pytest.importorskip("highdicom", reason="needs the extra `dicom`")

CLASSES = ["NORMAL", "PNEUMONIA"]
PIXELS = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


def writer(folder: Path, **options: Any) -> ReportWriter:
    return ReportWriter(folder, Algorithm("pneumo", "7", "ab" * 32), CLASSES, **options)


def prediction(file: Path, decision: str = "POSITIVE", **fields: Any) -> Prediction:
    return Prediction(str(file), "PNEUMONIA", decision, 0.75, {"NORMAL": 0.25}, **fields)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "image.dcm"
    path.parent.mkdir()
    path.write_bytes(dicoms.to_bytes(dicoms.make_dataset(PIXELS)))
    return path


@pytest.mark.parametrize(
    "name, stem",
    [
        ("a.dcm", "a"),
        ("a.b.DCM", "a.b"),
        ("IM000001", "IM000001"),
        ("1.2.840.1", "1.2.840.1"),
        ("\u00e4" * 120, "\u00e4" * 75),
        ("x" + "\u00e4" * 120 + ".dcm", "x" + "\u00e4" * 74),
    ],
)
def test_report_name(name: str, stem: str) -> None:
    report = _report_name(Path("in", name), "2.25.1" + "0" * 58)
    assert report == f"{stem}.2.25.1{'0' * 58}.dcm"
    assert len(report.encode()) < 230


@pytest.mark.parametrize("syntax", dicoms.SYNTAXES, ids=lambda syntax: syntax.name)
def test_every_transfer_syntax(syntax: dicoms.Syntax, tmp_path: Path) -> None:
    if syntax.needs:
        pytest.importorskip(syntax.needs)
    path = tmp_path / "image"
    path.write_bytes(dicoms.to_bytes(dicoms.make_dataset(PIXELS.astype(np.uint8)), syntax.uid))
    path = writer(tmp_path / "out").add(prediction(path))
    assert path is not None
    read = pydicom.dcmread(path)
    assert str(read.PatientName) == identities.IDENTITIES["PatientName"]
    assert read.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_the_file_is_named_after_its_input_and_its_uid(image: Path, tmp_path: Path) -> None:
    reports = writer(tmp_path / "out")
    path = reports.add(prediction(image))
    assert path is not None
    assert path.name == f"image.{pydicom.dcmread(path).SOPInstanceUID}.dcm"
    assert not identities.leaks(str(path))
    assert [p.name for p in (tmp_path / "out").iterdir()] == [path.name]
    assert reports.summary() == [
        f"1 structured report in {tmp_path / 'out'}: DICOM files that contain patient identities"
    ]


def test_an_existing_report_is_kept(image: Path, tmp_path: Path) -> None:
    day = datetime.datetime(2024, 1, 1)
    first = writer(tmp_path / "out", now=lambda: day).add(prediction(image))
    assert first is not None
    before = first.read_bytes()
    later = writer(tmp_path / "out", now=lambda: day + datetime.timedelta(days=9))
    assert later.add(prediction(image)) == first
    assert first.read_bytes() == before
    assert later.written == 1
    assert later.add(prediction(image, decision="REFER")) != first
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()  # now no process has this number
    out = tmp_path / "out"
    out.mkdir()
    left = out / f".2.25.1.dcm.{child.pid}-7.partial"
    alive = out / f".2.25.1.dcm.{os.getppid()}-7.partial"
    others = [alive, out / "2.25.9.dcm", out / ".keep.partial"]
    for path in (left, *others):
        path.write_bytes(b"")
    writer(out)
    assert sorted(out.iterdir()) == sorted(others)


def test_files_without_a_report(image: Path, tmp_path: Path) -> None:
    reports = writer(tmp_path / "out")
    for i in range(5):
        other = tmp_path / f"{i}.png"
        other.write_bytes(b"\x89PNG\r\n\x1a\n")
        assert reports.add(prediction(other)) is None
    assert reports.add(rejected(str(image), "DICOM of 9 frames")) is None
    assert reports.add(prediction(tmp_path / "gone.dcm")) is None
    assert (reports.written, reports.not_dicom, reports.rejected, reports.unreported) == (
        0,
        5,
        1,
        1,
    )
    lines = reports.summary()
    names = ", ".join(str(tmp_path / f"{i}.png") for i in range(3))
    assert lines[1] == f"no report for files that are not DICOM: {names} and 2 more"
    assert lines[2] == "no report for 1 rejected images"
    assert lines[3] == f"no report for {tmp_path / 'gone.dcm'}: it no longer exists"
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "missing", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"]
)
def test_an_image_without_identifiers_has_no_report(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "image.dcm"
    without: dict[str, Any] = {missing: None}
    path.write_bytes(dicoms.to_bytes(dicoms.make_dataset(PIXELS, **without)))
    reports = writer(tmp_path / "out")
    assert reports.add(prediction(path)) is None
    assert reports.summary()[1] == f"no report for {path}: it has no {missing}"


HOSTILE = [
    {"PatientName": "Quillfeather\r\nOttoline"},
    {"PatientName": "Quillfeather" * 40},
    {"PatientName": "A=B=C=Quillfeather"},
    {"PatientBirthDate": "Quillfeather"},
    {"PatientSex": "Quillfeather"},
    {"StudyDate": "Quillfeather"},
    {"StudyTime": "Quillfeather"},
    {"SOPInstanceUID": "Quillfeather"},
    {"StudyInstanceUID": "1.2.Quillfeather.3"},
    {"InstanceNumber": "123456789012"},  # becomes "Quillfeather" below
    {"SpecificCharacterSet": "Quillfeather"},
    {"SpecificCharacterSet": ["ISO_IR 100", "Quillfeather"]},
    {"Rows": None, "Columns": None},
]


@pytest.mark.parametrize("attributes", HOSTILE, ids=repr)
def test_invalid_attributes_do_not_leak_identities(
    tmp_path: Path,
    attributes: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "image.dcm"
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = dicoms.to_bytes(dicoms.make_dataset(PIXELS, **attributes))
    path.write_bytes(content.replace(b"123456789012", b"Quillfeather"))
    capfd.readouterr()
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    fields = {"boxes": [[1.0, 2.0, 30.0, 40.0]], "box_scores": [0.5], "height": 48, "width": 64}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reports = writer(tmp_path / "out")
        written = reports.add(prediction(path, **fields))  # type: ignore[arg-type]
    printed = capfd.readouterr()
    messages = [
        *reports.summary(),
        printed.out,
        printed.err,
        caplog.text,
        *(str(one.message) for one in caught),
    ]
    assert not identities.leaks("\n".join(messages))
    for name in (p.name for p in (tmp_path / "out").iterdir()):
        assert not identities.leaks(name)
    assert (written is None) == (reports.unreported == 1)


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PneumoError, match="cannot be written") as caught:
        writer(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_missing_highdicom_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom.sr", None)
    with pytest.raises(PneumoError, match=r"pneumo-tfx\[dicom\]") as caught:
        writer(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
