"""DICOM files among the images of a source."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.images.errors import ImageError
from core.ingest.scan import scan
from core.ingest.source.dicom import StoredImage, to_stored_image
from schema.errors import PneumoError
from schema.files import read_lines
from tests.core.ingest.trees import (
    change_before_write,
    jpeg,
    put,
    records,
    replace_content,
    rows,
    run,
    split_of,
)
from tests.support.images.dicoms import make_dataset, to_bytes
from tests.support.images.synthetic import gray

pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def dicom(seed: int, syntax: str = "1.2.840.10008.1.2.1", **attributes: Any) -> bytes:
    pixels = attributes.pop("pixels", gray(64, 64, seed))
    attributes = {"planted": False, "PatientID": f"P-{seed // 2}-of-many", **attributes}
    return to_bytes(make_dataset(pixels, **attributes), syntax)


def stored(dest: Path) -> dict[str, np.ndarray]:
    """Returns file name -> pixels of its record."""
    pixels = {}
    for record in records(dest):
        with Image.open(io.BytesIO(record["image/encoded"][0])) as opened:
            pixels[record["image/filename"][0].decode()] = np.asarray(opened)
    return pixels


def test_the_source_of_a_manifest_is_kept(tmp_path: Path) -> None:
    for n in range(2):
        put(tmp_path / f"s/IM{n}.dcm", dicom(2 * n))
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "path,label,split,source\nIM0.dcm,normal,train,north\nIM1.dcm,virus,train,\n"
    )
    run(tmp_path / "s", tmp_path / "d", manifest=manifest)
    found = {row["filename"]: row["source"] for row in rows(tmp_path / "d")}
    assert found == {"IM0.dcm": "north", "IM1.dcm": "dicom-PA"}


def test_class_folders(tmp_path: Path) -> None:
    source = tmp_path / "s"
    for n in range(16):
        put(source / f"{'NORMAL' if n % 4 < 2 else 'VIRUS'}/IM{n}.dcm", dicom(n))
    twelve = gray(64, 64, 70).astype(np.uint16) * 16
    put(source / "VIRUS/1.2.840.5", dicom(70, pixels=twelve, bits_stored=12))
    put(source / "NORMAL/plain.jpeg", jpeg(80))
    put(source / "DICOMDIR", dicom(99))
    summary = run(source, tmp_path / "d")
    assert (summary.written, summary.rejected, summary.layout) == (18, 0, "class")
    assert summary.skipped == {"DICOMDIR": 1}
    pixels = stored(tmp_path / "d")
    np.testing.assert_array_equal(pixels["NORMAL/IM5.dcm"], gray(64, 64, 5))
    assert pixels["VIRUS/1.2.840.5"].dtype == np.uint16
    found = {row["filename"]: row for row in rows(tmp_path / "d")}
    assert found["NORMAL/IM0.dcm"]["patient_id"] == found["NORMAL/IM1.dcm"]["patient_id"]
    assert found["NORMAL/IM0.dcm"]["patient_id"] != found["VIRUS/IM2.dcm"]["patient_id"]
    assert found["NORMAL/IM0.dcm"]["source"] == "dicom-PA"
    assert found["NORMAL/IM0.dcm"]["format"] == "png"
    assert summary.dicom == {
        "written": 17,
        "hashed_patients": 17,
        "replaced_names": 0,
        "salted": False,
    }
    assert found["NORMAL/plain.jpeg"]["source"] == "other"
    assert "dicom" not in found["NORMAL/plain.jpeg"]
    splits = split_of(tmp_path / "d")
    for n in range(0, 16, 2):
        name = "NORMAL" if n % 4 < 2 else "VIRUS"
        assert splits[f"{name}/IM{n}.dcm"] == splits[f"{name}/IM{n + 1}.dcm"]


def test_manifest(tmp_path: Path) -> None:
    lines = ["path,label,patient,split"]
    for n in range(9):
        put(tmp_path / f"s/a/b{n}/I", dicom(n))
        split = ("train", "val", "test")[n % 3]
        lines.append(f"a/b{n}/I,{('normal', 'other', 'unknown')[n % 3]},p{n},{split}")
    put(tmp_path / "s/a/extra", dicom(50))
    put(tmp_path / "m.csv", "\n".join(lines).encode())
    summary = run(tmp_path / "s", tmp_path / "d", manifest=tmp_path / "m.csv")
    assert (summary.policy, summary.written) == ("given", 9)
    assert summary.splits == {"train": {"normal": 3}, "val": {"other": 3}, "test": {"unknown": 3}}
    assert summary.skipped == {"not in the manifest": 1}
    assert {row["patient_id"] for row in rows(tmp_path / "d")} == {f"p{n}" for n in range(9)}


@pytest.mark.parametrize(
    ("option", "written", "reasons"),
    [
        ("radiographs", 2, {"secondary_capture": 1}),
        ("accept", 3, {}),
        ("refuse", 1, {"secondary_capture": 2}),
    ],
)
def test_secondary_captures(
    tmp_path: Path, option: str, written: int, reasons: dict[str, int]
) -> None:
    put(tmp_path / "s/NORMAL/a.dcm", dicom(0))
    put(tmp_path / "s/NORMAL/b.dcm", dicom(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    put(tmp_path / "s/NORMAL/c.dcm", dicom(2, modality="OT"))
    summary = run(tmp_path / "s", tmp_path / "d", dicom_secondary=option)
    assert (summary.written, summary.reasons) == (written, reasons)


def test_headers_that_disagree_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "s/NORMAL/a.dcm", dicom(0))
    put(tmp_path / "s/NORMAL/b.dcm", dicom(1, WindowCenter=0, WindowWidth=0))
    put(tmp_path / "s/NORMAL/c.dcm", dicom(2, BodyPartExamined="KNEE", RescaleSlope=0))
    put(tmp_path / "s/NORMAL/d.dcm", dicom(3, PresentationIntentType="FOR PROCESSING")[132:])
    summary = run(tmp_path / "s", tmp_path / "d")
    assert summary.written == 4
    assert summary.dicom["notes"] == {
        "for_processing": 1,
        "no_preamble": 1,
        "other_body_part": 1,
        "rescale_ignored": 1,
        "window_ignored": 1,
    }
    found = {row["filename"]: row["dicom"].get("notes") for row in rows(tmp_path / "d")}
    assert found["NORMAL/a.dcm"] is None
    assert found["NORMAL/c.dcm"] == ["other_body_part", "rescale_ignored"]


def test_salt_changes_patient_keys(tmp_path: Path) -> None:
    for n in range(4):
        put(tmp_path / f"s/NORMAL/{n}.dcm", dicom(n))
    keys = []
    for n, salt in enumerate(["", "a", "b", "a"]):
        run(tmp_path / "s", tmp_path / f"d{n}", patient_salt=salt)
        keys.append({row["patient_id"] for row in rows(tmp_path / f"d{n}")})
    assert keys[1] == keys[3]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]
    assert run(tmp_path / "s", tmp_path / "d1", patient_salt="a").reused
    with pytest.raises(PneumoError, match="another source or other options"):
        run(tmp_path / "s", tmp_path / "d1", patient_salt="b")


def test_names_that_identify_the_patient_may_be_kept(tmp_path: Path) -> None:
    put(tmp_path / "s/NORMAL/P-0-of-many.dcm", dicom(0))
    put(tmp_path / "s/NORMAL/x.dcm", dicom(1))
    run(tmp_path / "s", tmp_path / "kept", dicom_names="keep")
    assert set(split_of(tmp_path / "kept")) == {"NORMAL/P-0-of-many.dcm", "NORMAL/x.dcm"}
    run(tmp_path / "s", tmp_path / "auto")
    kept, hidden = sorted(split_of(tmp_path / "auto"))
    assert kept == "NORMAL/x.dcm"
    assert hidden.startswith("dicom-")


def test_equal_pixels_leak_in_any_transfer_syntax(tmp_path: Path) -> None:
    for n, (split, syntax) in enumerate(
        [("train", "1.2.840.10008.1.2"), ("test", "1.2.840.10008.1.2.5")]
    ):
        put(tmp_path / f"s/{split}/NORMAL/a{n}.dcm", dicom(7, syntax, PatientID=f"other-{n}"))
        put(tmp_path / f"s/{split}/VIRUS/b{n}.dcm", dicom(20 + n))
    summary = run(tmp_path / "s", tmp_path / "d")
    assert summary.leakage["exact_across_splits"] == 1


def test_missing_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "pydicom" else real(name, *a)
    )
    put(tmp_path / "s/NORMAL/a.dcm", dicom(0))
    with pytest.raises(PneumoError, match="install the extra"):
        run(tmp_path / "s", tmp_path / "d")
    with pytest.raises(ImageError, match="missing_plugin"):
        to_stored_image(dicom(0))


def test_other_formats_are_unchanged() -> None:
    assert to_stored_image(jpeg(0)) == StoredImage(jpeg(0))
    assert to_stored_image(b"") == StoredImage(b"")


def test_limits_of_the_options() -> None:
    with pytest.raises(ImageError, match="too_large"):
        to_stored_image(dicom(0), max_pixels=64 * 64 - 1)
    with pytest.raises(ImageError, match="secondary_capture"):
        to_stored_image(dicom(0, modality="OT"), secondary="radiographs")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("IM0001", "file"),
        ("1.2.840.113", "file"),
        ("a.dcm", "file"),
        ("a.DICOM", "file"),
        ("a.txt", "file"),
        (".hidden", "skip"),
        ("DICOMDIR", "skip"),
        ("._IM0001", "skip"),
    ],
)
def test_files_without_suffix_are_detected_by_signature(
    tmp_path: Path, name: str, kind: str
) -> None:
    put(tmp_path / name, dicom(0))
    (entry,) = scan(tmp_path)
    assert entry.kind == kind


def test_file_that_changes_during_the_run_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        put(tmp_path / f"s/NORMAL/{n}.dcm", dicom(n))
    path = tmp_path / "s/NORMAL/0.dcm"
    content = path.read_bytes()[:-40] + bytes(40)  # other pixels, same size
    change_before_write(monkeypatch, lambda: replace_content(path, content))
    summary = run(tmp_path / "s", tmp_path / "d")
    assert summary.reasons == {"changed_during_run": 1}
    (row,) = read_lines(tmp_path / "d/rejects.jsonl")
    assert row["file"] == "NORMAL/0.dcm"
