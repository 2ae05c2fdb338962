"""Identities planted in DICOM files: none comes out of `pneumo predict`."""

import warnings
from pathlib import Path

import pytest

from tests.support.images.bad_dicoms import BROKEN, REJECTED, broken
from tests.support.images.dicoms import SYNTAXES, make_dataset, to_bytes
from tests.support.images.identities import leaks, leaks_below
from tests.support.images.synthetic import gray
from tests.support.runs.processes import pneumo

pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def test_no_identity_in_predictions_logs_or_errors(small_model: Path, tmp_path: Path) -> None:
    warnings.simplefilter("always")
    folder = tmp_path / "images"
    folder.mkdir()
    good = [to_bytes(make_dataset(gray(64, 64, n)), s.uid) for n, s in enumerate(SYNTAXES)]
    bad = [broken(keyword, raw) for keyword, raw in BROKEN.items()]
    bad += [build() for build, _, _ in REJECTED.values()]
    for n, content in enumerate([*good, *bad]):
        (folder / f"{n:03d}.dcm").write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    for form in ("json", "csv"):
        done = pneumo(
            "predict", "--model", small_model, "--output", out / f"a.{form}", folder, check=False
        )
        assert done.returncode == 1, done.stderr
        predictions = (out / f"a.{form}").read_bytes()
        assert predictions.count(b"multi_frame") >= 1
        assert "Traceback" not in done.stderr
        assert not leaks((done.stdout + done.stderr).encode("utf-8", "surrogateescape"))
    assert not leaks_below(out)
    lines = (out / "a.json").read_text().splitlines()
    assert len(lines) == len(good) + len(bad)
    assert sum('"score"' in line for line in lines) >= len(good)
