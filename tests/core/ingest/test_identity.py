"""No identity in a tag or path of a DICOM file reaches an output of `pneumo ingest`.

Text burned into the pixels is not covered.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.images.dicom.notes import NOTES
from schema.files import read_lines
from tests.core.ingest.trees import put, records, rows, run
from tests.support.images.bad_dicoms import BROKEN, REJECTED, broken
from tests.support.images.dicoms import SYNTAXES, make_dataset, to_bytes
from tests.support.images.identities import IDENTITIES, leaks, leaks_below
from tests.support.images.synthetic import gray

pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def tree(root: Path) -> Path:
    """Writes usable and unusable files in class folders; some names identify the patient."""
    for n, syntax in enumerate(SYNTAXES):
        put(root / f"NORMAL/s{n:02d}.dcm", to_bytes(make_dataset(gray(40, 40, n)), syntax.uid))
    for n in range(12):
        content = to_bytes(make_dataset(gray(44, 40, 50 + n), PatientID=f"PID-77314-QX{n}"))
        put(root / f"PNEUMONIA/IM{n:04d}", content)
    for n, (keyword, raw) in enumerate(BROKEN.items()):
        put(root / f"PNEUMONIA/b{n:02d}_{keyword}.dcm", broken(keyword, raw))
    for n, (build, _, _) in enumerate(REJECTED.values()):
        put(root / f"NORMAL/bad{n:02d}.dcm", build())
    name, patient = IDENTITIES["PatientName"].split("^")[0], IDENTITIES["PatientID"]
    put(root / f"NORMAL/{name}/1.dcm", to_bytes(make_dataset(gray(40, 40, 90))))
    put(root / f"PNEUMONIA/{patient}.dcm", to_bytes(make_dataset(gray(40, 40, 91))))
    put(
        root / f"PNEUMONIA/x_{patient}.dcm", to_bytes(make_dataset(gray(40, 40, 92), modality="CT"))
    )
    return root


def pneumo(cwd: Path, repo: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    code = "from pipeline.cli import main; main()"
    environment = {
        "PYTHONPATH": str(repo),
        "PATH": "/usr/bin:/bin",
        "COLUMNS": "200",
        "PYTHONWARNINGS": "always",
        "PNEUMO_PATIENT_SALT": "salt-of-Tarnwick",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    root = tmp_path_factory.mktemp("planted")
    tree(root / "s")
    ran = pneumo(root, request.config.rootpath, "ingest", "s", "d")
    assert ran.returncode == 0, ran.stderr.decode()
    return root, ran


def test_inputs_contain_identities(done: Any) -> None:
    root, _ = done
    # Compression hides some of them.
    assert max(len(found) for found in leaks_below(root / "s").values()) > 40


def test_no_identity_in_any_output(done: Any) -> None:
    root, ran = done
    assert not leaks_below(root / "d")
    assert not leaks(ran.stdout)
    assert not leaks(ran.stderr)
    outputs = {path.name for path in (root / "d").iterdir()}
    assert {"manifest.jsonl", "rejects.jsonl", "leakage.json", "dataset.json"} <= outputs


def test_no_identity_in_any_record(done: Any) -> None:
    """Checks decoded values: framing could split an identity in the file."""
    root, _ = done
    decoded = list(records(root / "d"))
    for values in (values for record in decoded for values in record.values()):
        assert not leaks(b" ".join(v for v in values if isinstance(v, bytes)))
    assert len(decoded) == len(rows(root / "d")) > 20


def test_usable_files_are_written_and_others_rejected(done: Any) -> None:
    root, _ = done
    names = {row["filename"]: row for row in read_lines(root / "d/manifest.jsonl")}
    rejects = {row["file"]: row for row in read_lines(root / "d/rejects.jsonl")}
    assert sum(name.startswith("NORMAL/s") for name in names) == len(SYNTAXES)
    assert sum(name.startswith("PNEUMONIA/IM") for name in names) == 12
    assert sum(name.startswith("NORMAL/bad") for name in rejects) == len(REJECTED)
    assert sum(name.startswith("dicom-") for name in names) == 2
    assert sum(name.startswith("dicom-") for name in rejects) == 1
    keys = {row["patient_id"] for name, row in names.items() if name.startswith("PNEUMONIA/IM")}
    assert len(keys) == 12
    assert all(key.startswith("patient-") for key in keys)
    assert b"3 names that identify the patient were replaced" in done[1].stdout
    assert b"text burned into the pixels is not detected" in done[1].stdout
    assert b"WITHOUT a salt" not in done[1].stdout
    allowed = {"modality", "view", "photometric", "rows", "columns", "bits_stored", "spacing"}
    allowed |= {"age", "sex", "notes"}
    assert {key for row in names.values() for key in row["dicom"]} <= allowed
    noted = {note for row in names.values() for note in row["dicom"].get("notes", [])}
    assert "window_ignored" in noted <= NOTES.keys()


def test_salt_is_not_in_any_output_and_changes_the_keys(done: Any, request: Any) -> None:
    root, ran = done
    salt = b"salt-of-Tarnwick"
    assert salt not in ran.stdout + ran.stderr
    assert not [p for p in (root / "d").iterdir() if salt in p.read_bytes()]
    run(root / "s", root / "unsalted")
    other = {row["patient_id"] for row in rows(root / "unsalted")}
    assert not other & {row["patient_id"] for row in rows(root / "d")}
    assert not leaks_below(root / "unsalted")


def test_no_identity_in_the_error_without_a_usable_file(tmp_path: Path, request: Any) -> None:
    for n, (keyword, raw) in enumerate(BROKEN.items()):
        if keyword in ("BitsStored", "RescaleIntercept", "NumberOfFrames"):
            put(tmp_path / f"s/NORMAL/{n}.dcm", broken(keyword, raw))
    ran = pneumo(tmp_path, request.config.rootpath, "ingest", "s", "d")
    assert ran.returncode == 2
    assert b"no usable image" in ran.stderr
    assert not leaks(ran.stdout + ran.stderr)
    assert not leaks_below(tmp_path / ".d.ingest")
