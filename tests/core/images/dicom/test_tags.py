import io
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.images.dicom.aspect import make_square, pixel_ratio
from core.images.dicom.load import load
from core.images.dicom.read import DicomRules
from core.images.dicom.tags import DicomTags, path_identifies_patient, patient_key, years
from tests.support.images.dicoms import make_dataset, to_bytes
from tests.support.images.identities import leaks

pytest.importorskip("pydicom", reason="needs the extra `dicom`")

PIXELS = (np.add.outer(np.arange(40), np.arange(32)) * 3).astype(np.uint8)


def loaded(salt: str = "s", path: str = "x.dcm", **attributes: Any) -> Any:
    return load(to_bytes(make_dataset(PIXELS, **attributes)), DicomRules(), salt, path)


def test_nothing_but_the_allow_list_leaves() -> None:
    found = loaded(PixelSpacing=[0.14, 0.14])
    assert found.tags.to_dict() == {
        "modality": "CR",
        "view": "PA",
        "photometric": "MONOCHROME2",
        "rows": 40,
        "columns": 32,
        "bits_stored": 8,
        "spacing": (0.14, 0.14),
        "age": 87,
        "sex": "F",
    }
    assert not leaks(repr(found).encode() + found.png)
    with Image.open(io.BytesIO(found.png)) as opened:
        assert not opened.info


@pytest.mark.parametrize(
    ("attributes", "field", "expected"),
    [
        ({"ViewPosition": "Quillfeather"}, "view", ""),
        ({"ViewPosition": " ap "}, "view", "AP"),
        ({"PatientSex": "Ottoline"}, "sex", ""),
        ({"PatientSex": None}, "sex", ""),
        ({"PatientAge": "099Y"}, "age", 90),
        ({"PatientAge": "Mallow"}, "age", None),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.1, 0.1]}, "spacing", (0.1, 0.1)),
        ({"PixelSpacing": [0, 0]}, "spacing", None),
    ],
)
def test_only_known_terms_leave(attributes: dict[str, Any], field: str, expected: object) -> None:
    assert getattr(loaded(**attributes).tags, field) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("087Y", 87),
        ("090Y", 90),
        ("103Y", 90),
        ("018M", 1),
        ("104W", 1),
        ("003D", 0),
        ("8", None),
        ("", None),
        ("19310711", None),
        ("-1Y", None),
    ],
)
def test_years(text: str, expected: int | None) -> None:
    assert years(text) == expected


def test_the_key_of_a_patient_depends_on_salt_and_id_alone() -> None:
    one = loaded().patient
    assert re.fullmatch(r"patient-[0-9a-f]{32}", one)
    assert loaded(PatientName="Other^Name", StudyInstanceUID="1.2").patient == one
    assert loaded(salt="t").patient != one
    assert loaded(PatientID="PID-77314-QY").patient != one
    assert loaded(PatientID=" PID-77314-QX ").patient == one


@pytest.mark.parametrize(
    "patient",
    [None, "", "ANONYMOUS", "0", "Unknown", "nan", " N/A ", "000000", "Removed", "Patient^Unknown"],
)
def test_without_an_id_the_study_identifies_the_patient(patient: str | None) -> None:
    one = loaded(PatientID=patient).patient
    assert re.fullmatch(r"study-[0-9a-f]{32}", one)
    assert loaded(PatientID=patient, StudyInstanceUID="1.2.3").patient != one
    assert not loaded(PatientID=patient, StudyInstanceUID=None).patient


def test_an_image_id_is_no_patient() -> None:
    """PatientID of the RSNA challenge is the name of the file, one for each image."""
    name = "0004cfab-14fd-4e49-80ba-63a80b6bddd6"
    assert loaded(path=f"NORMAL/{name}.dcm", PatientID=name).patient.startswith("study-")
    assert loaded(path="NORMAL/7.dcm", PatientID=name).patient.startswith("patient-")
    assert loaded(path=f"NORMAL/{name}.dcm", PatientID="7").patient.startswith("patient-")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("a/b.dcm", False),
        ("NORMAL/IM0001", False),
        ("quillfeather/1.dcm", True),
        ("x/Ottoline_1.dcm", True),
        ("PID-77314-QX.dcm", True),
        ("p/19310711.dcm", True),
        ("ACC-60917-ZK/1", True),
        ("ottolines/1", False),  # another word
    ],
)
def test_a_path_that_names_the_patient_is_seen(path: str, named: bool) -> None:
    assert loaded(path=path).path_identifies_patient == named


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_may_stand_for_an_id(patient: str, salt: str) -> None:
    from pydicom import Dataset

    dataset = Dataset()
    dataset.add_new("PatientID", "LO", patient)
    key = patient_key(dataset, salt)
    assert key == "" or re.fullmatch(r"patient-[0-9a-f]{32}", key)
    assert path_identifies_patient("", dataset) is False


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, 1.0),
        ({"PixelSpacing": [0.2, 0.1]}, 2.0),
        ({"PixelSpacing": [0.1, 0.2]}, 0.5),
        ({"PixelSpacing": [0.1395, 0.139]}, 1.0),  # means the same
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.3, 0.2]}, 1.5),
        ({"PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.3, 0.2]}, 1.0),
        ({"NominalScannedPixelSpacing": [0.3, 0.2]}, 1.5),
        ({"PixelAspectRatio": [3, 2]}, 1.5),
        ({"PixelSpacing": [0, 0.1], "PixelAspectRatio": [1, 2]}, 0.5),
        ({"PixelSpacing": [0.1]}, 1.0),
    ],
)
def test_ratio(attributes: dict[str, Any], expected: float) -> None:
    assert pixel_ratio(make_dataset(PIXELS, **attributes)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("spacing", "size"), [([0.2, 0.1], (80, 32)), ([0.1, 0.25], (40, 80)), ([0.1, 0.1], (40, 32))]
)
def test_pixels_become_square(spacing: list[float], size: tuple[int, int]) -> None:
    found = loaded(PixelSpacing=spacing)
    with Image.open(io.BytesIO(found.png)) as opened:
        shown = np.asarray(opened).astype(float)
    assert shown.shape == size
    assert (found.tags.rows, found.tags.columns) == (40, 32)  # as stored
    # A ramp stays a ramp: its value at a relative place is the same.
    assert shown[size[0] // 2, size[1] // 2] == pytest.approx(PIXELS[20, 16], abs=3)
    assert shown.mean() == pytest.approx(PIXELS.mean(), abs=1)


def test_square_pixels_are_not_touched() -> None:
    shown = np.random.default_rng(0).random((5, 7))
    assert make_square(shown, 1.0) is shown


def test_tags_without_facts_are_short() -> None:
    assert DicomTags("", "", "", 1, 2, 8, None, None, "").to_dict() == {
        "rows": 1,
        "columns": 2,
        "bits_stored": 8,
    }
