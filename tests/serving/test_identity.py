"""Identities planted in DICOM files: none comes out of `pneumo predict`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bad_dicoms import BROKEN, REFUSED, broken
from tests.support.dicoms import SYNTAXES, leaks, leaks_below, make, to_bytes
from tests.support.images import gray

pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def test_no_identity_in_answers_logs_or_errors(
    small_model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    good = [to_bytes(make(gray(64, 64, n)), s.uid) for n, s in enumerate(SYNTAXES)]
    bad = [broken(keyword, raw) for keyword, raw in BROKEN.items()]
    bad += [build() for build, _, _ in REFUSED.values()]
    for n, content in enumerate([*good, *bad]):
        (folder / f"{n:03d}.dcm").write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    for form in ("json", "csv"):
        done = subprocess.run(
            [
                *(sys.executable, "-W", "always", "-m", "pipeline.cli", "predict"),
                *("--model", str(small_model), "--output", str(out / f"a.{form}"), str(folder)),
            ],
            cwd=request.config.rootpath,
            env={**os.environ, "PYTHONWARNINGS": "always"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr.decode()
        answers = (out / f"a.{form}").read_bytes()
        assert answers.count(b"multi_frame") >= 1
        assert b"Traceback" not in done.stderr
        assert not leaks(done.stdout + done.stderr)
    assert not leaks_below(out)
    lines = (out / "a.json").read_text().splitlines()
    assert len(lines) == len(good) + len(bad)
    assert sum('"score"' in line for line in lines) >= len(good)
