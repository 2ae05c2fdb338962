"""Patients of the files of a catalog: tables, tags, paths, and what they leave unknown."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from core.ingest.catalog.database import Catalog
from core.ingest.scan import SourceEntry
from tests.core.ingest.trees import checked

Label = dict[str, object]


@pytest.fixture
def patients(tmp_path: Path) -> Callable[..., dict[str, tuple[str, bool]]]:
    """Returns a function of path -> (label, check) that returns path -> (key, known)."""

    def build(
        files: dict[str, tuple[Label, Label]], distance: int = 24
    ) -> dict[str, tuple[str, bool]]:
        catalog = Catalog(tmp_path / "catalog")
        catalog.files.add_entries([SourceEntry(path, "file") for path in files])
        for path, (label, check) in files.items():
            catalog.files.label(path, "normal", official_split="train", **label)  # type: ignore[arg-type]
            content = {"perceptual_hash": hashlib.sha256(path.encode()).hexdigest(), **check}
            catalog.files.add_check(checked(path, pixel_hash=path, **content), sort_key="")
        catalog.splits.separate_equal_names(distance)
        catalog.splits.use_official()
        found = {r.path: (r.patient_id, r.patient_known) for r in catalog.files.usable("train")}
        assert catalog.splits.count_unknown() == sum(not known for _, known in found.values())
        return found

    return build


DICOM = {"dicom": {"rows": 8, "columns": 8}}
STUDY = {**DICOM, "patient_id": "study-1"}
PATIENT = {**DICOM, "patient_id": "patient-1"}


@pytest.mark.parametrize(
    ("path", "label", "check", "expected"),
    [
        ("x/a.png", {}, {}, ("image:x/a.png", False)),
        ("person1_virus_2.png", {}, {}, ("person-1", True)),
        # A table precedes the path, a placeholder in it does not.
        ("person1_virus_2.png", {"patient": "P7"}, {}, ("P7", True)),
        ("person1_virus_2.png", {"patient": "nan"}, {}, ("person-1", True)),
        ("x/a.png", {"patient": " NaN "}, {}, ("image:x/a.png", False)),
        ("x/a.png", {"patient": "0"}, {}, ("image:x/a.png", False)),
        ("x/a.png", {"patient": "id", "patient_known": False}, {}, ("image:x/a.png", False)),
        ("x/a.png", {"patient": "id7", "patient_known": False}, {}, ("id7", False)),
        # PatientID precedes the path; the study replaces only an unknown patient.
        ("x/a.dcm", {}, PATIENT, ("patient-1", True)),
        ("person1_virus_2.dcm", {}, PATIENT, ("patient-1", True)),
        ("person1_virus_2.dcm", {}, STUDY, ("person-1", True)),
        ("x/a.dcm", {}, STUDY, ("study-1", False)),
        ("x/a.dcm", {}, DICOM, ("image:x/a.dcm", False)),
        ("x/a.dcm", {"patient": "P7"}, PATIENT, ("P7", True)),
        ("x/a.dcm", {"patient": "unknown"}, PATIENT, ("patient-1", True)),
        # A path that identifies the patient is in no key.
        ("sub-Doe/ses-1/a.dcm", {}, {**DICOM, "filename": "dicom-7"}, ("image:dicom-7", False)),
        ("sub-Doe/ses-1/a.dcm", {}, {**STUDY, "filename": "dicom-7"}, ("study-1", False)),
        ("x/a.dcm", {}, {**DICOM, "filename": "dicom-7"}, ("image:dicom-7", False)),
    ],
)
def test_where_the_patient_comes_from(
    patients: Callable[..., dict[str, tuple[str, bool]]],
    path: str,
    label: Label,
    check: Label,
    expected: tuple[str, bool],
) -> None:
    assert patients({path: (label, check)}) == {path: expected}


NONE: tuple[Label, Label] = ({}, {})


def test_names_of_a_viewer_hold_in_their_folder_only(
    patients: Callable[..., dict[str, tuple[str, bool]]],
) -> None:
    """Each folder is a patient with the same names."""
    paths = [f"NORMAL/case{n}/IM-0001-000{i}.jpeg" for n in range(4) for i in (1, 2)]
    found = patients(dict.fromkeys(paths, NONE))
    assert len({key for key, _ in found.values()}) == 4
    assert not any(known for _, known in found.values())


def test_copies_do_not_end_a_naming_rule(
    patients: Callable[..., dict[str, tuple[str, bool]]],
) -> None:
    same: tuple[Label, Label] = ({}, {"perceptual_hash": "61" * 32})
    paths = [f"{folder}/IM-0001-0001.jpeg" for folder in ("large", "small", "jpeg")]
    assert set(patients(dict.fromkeys(paths, same)).values()) == {("im-1", True)}


def test_a_changed_image_does_not_end_the_rule_of_a_large_set(
    patients: Callable[..., dict[str, tuple[str, bool]]],
) -> None:
    """Augmented copies in a folder beside the originals still belong to their patients."""
    paths = [f"{f}/NORMAL/IM-{n:04d}-0001.jpeg" for f in ("train", "flipped") for n in range(1, 9)]
    found = patients(dict.fromkeys(paths, NONE))
    assert set(found.values()) == {(f"im-{n}", True) for n in range(1, 9)}
