from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.local import predict_stream
from serving.predict import load_model

pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def test_files_of_all_kinds_in_order(small_model: Path, tmp_path: Path) -> None:
    from tests.serving.test_dicom import dicom

    pixels = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    pixels[0, :2] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "b.dcm").write_bytes(dicom(pixels, bits=8))
    (tmp_path / "c.dcm").write_bytes(
        dicom(255 - pixels, bits=8, PhotometricInterpretation="MONOCHROME1")
    )
    (tmp_path / "d.dcm").write_bytes(dicom(pixels, bits=8, NumberOfFrames=9))
    (tmp_path / "e.png").write_bytes(b"")
    files = [*sorted(tmp_path.iterdir()), tmp_path / "gone.png"]
    answers = list(predict_stream(load_model(small_model), iter(files), 2))
    assert [answer.file for answer in answers] == list(map(str, files))
    png, by_dicom, negative, frames, empty, gone = answers
    # The same pixels, whatever they were wrapped in.
    assert by_dicom.probabilities == pytest.approx(png.probabilities, abs=1e-6)
    assert negative.probabilities == pytest.approx(png.probabilities, abs=1e-6)
    assert "9 frames" in frames.error
    assert empty.status == "EMPTY"
    assert "cannot be read" in gone.error
    assert all(one.decision == "REJECTED" and one.abstained for one in (frames, empty, gone))
