"""A folder of reports: what is in it, what is not, and what gets out of nowhere else."""

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
from serving.dicom_out import Algorithm, Reports
from serving.predict.prediction import Prediction, rejected
from tests.support.images import dicoms, identities

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")
pytest.importorskip("highdicom", reason="needs the extra `dicom`")

CLASSES = ["NORMAL", "PNEUMONIA"]
PIXELS = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


def reports(folder: Path, **options: Any) -> Reports:
    return Reports(folder, Algorithm("pneumo", "7", "ab" * 32), CLASSES, **options)


def answer(file: Path, decision: str = "POSITIVE", **fields: Any) -> Prediction:
    return Prediction(str(file), "PNEUMONIA", decision, 0.75, {"NORMAL": 0.25}, **fields)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "image.dcm"
    path.parent.mkdir()
    path.write_bytes(dicoms.to_bytes(dicoms.make_dataset(PIXELS)))
    return path


@pytest.mark.parametrize("syntax", dicoms.SYNTAXES, ids=lambda syntax: syntax.name)
def test_whatever_the_pixels_are_packed_in(syntax: dicoms.Syntax, tmp_path: Path) -> None:
    if syntax.needs:
        pytest.importorskip(syntax.needs)
    path = tmp_path / "image"
    path.write_bytes(dicoms.to_bytes(dicoms.make_dataset(PIXELS.astype(np.uint8)), syntax.uid))
    found = reports(tmp_path / "out").add(answer(path))
    assert found is not None
    read = pydicom.dcmread(found)
    assert str(read.PatientName) == identities.IDENTITIES["PatientName"]
    assert read.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_the_name_is_the_reports_uid_and_no_identity(image: Path, tmp_path: Path) -> None:
    made = reports(tmp_path / "out")
    path = made.add(answer(image))
    assert path is not None
    assert path.name == f"{pydicom.dcmread(path).SOPInstanceUID}.dcm"
    assert not identities.leaks(str(path))
    assert [p.name for p in (tmp_path / "out").iterdir()] == [path.name]
    assert made.lines() == [
        f"1 structured report in {tmp_path / 'out'}: DICOM, with the identities of the patients"
    ]


def test_a_report_that_is_there_is_kept(image: Path, tmp_path: Path) -> None:
    day = datetime.datetime(2024, 1, 1)
    first = reports(tmp_path / "out", now=lambda: day).add(answer(image))
    assert first is not None
    before = first.read_bytes()
    later = reports(tmp_path / "out", now=lambda: day + datetime.timedelta(days=9))
    assert later.add(answer(image)) == first
    assert first.read_bytes() == before
    assert later.written == 1
    assert later.add(answer(image, decision="REFER")) != first
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()  # now no process has this number
    out = tmp_path / "out"
    out.mkdir()
    left = out / f".2.25.1.dcm.{child.pid}-7.partial"
    alive = out / f".2.25.1.dcm.{os.getppid()}-7.partial"
    others = [alive, out / "2.25.9.dcm", out / ".keep.partial"]
    for path in (left, *others):
        path.write_bytes(b"")
    reports(out)
    assert sorted(out.iterdir()) == sorted(others)


def test_what_has_no_report(image: Path, tmp_path: Path) -> None:
    made = reports(tmp_path / "out")
    for i in range(5):
        other = tmp_path / f"{i}.png"
        other.write_bytes(b"\x89PNG\r\n\x1a\n")
        assert made.add(answer(other)) is None
    assert made.add(rejected(str(image), "DICOM of 9 frames")) is None
    assert made.add(answer(tmp_path / "gone.dcm")) is None
    assert (made.written, made.not_dicom, made.rejected, made.unreported) == (0, 5, 1, 1)
    lines = made.lines()
    names = ", ".join(str(tmp_path / f"{i}.png") for i in range(3))
    assert lines[1] == f"no report, because it is no DICOM file: {names} and 2 more"
    assert lines[2] == "no report about the 1 rejected"
    assert lines[3] == f"no report about {tmp_path / 'gone.dcm'}: it is gone"
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "missing", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"]
)
def test_an_image_that_cannot_be_referred_to(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "image.dcm"
    without: dict[str, Any] = {missing: None}
    path.write_bytes(dicoms.to_bytes(dicoms.make_dataset(PIXELS, **without)))
    made = reports(tmp_path / "out")
    assert made.add(answer(path)) is None
    assert made.lines()[1] == f"no report about {path}: it has no {missing}"


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
def test_whatever_is_odd_nothing_but_the_report_names_the_patient(
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
    places = {"boxes": [[1.0, 2.0, 30.0, 40.0]], "box_scores": [0.5], "height": 48, "width": 64}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = reports(tmp_path / "out")
        written = made.add(answer(path, **places))  # type: ignore[arg-type]
    said = capfd.readouterr()
    shown = [*made.lines(), said.out, said.err, caplog.text, *(str(one.message) for one in caught)]
    assert not identities.leaks("\n".join(shown))
    for name in (p.name for p in (tmp_path / "out").iterdir()):
        assert not identities.leaks(name)
    assert (written is None) == (made.unreported == 1)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PneumoError, match="cannot be written") as caught:
        reports(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_without_highdicom_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom.sr", None)
    with pytest.raises(PneumoError, match=r"pneumo-tfx\[dicom\]") as caught:
        reports(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
