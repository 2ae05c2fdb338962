from pathlib import Path

import numpy as np
import pytest

from schema.errors import PneumoError
from serving.predict.dicom import is_dicom, to_png
from serving.predict.input_files import read_file
from tests.support.images.dicoms import make_dataset, to_bytes
from tests.support.images.identities import leaks

pytest.importorskip("pydicom", reason="needs the extra `dicom`")

PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)


def test_a_radiograph_becomes_a_png() -> None:
    content = to_bytes(make_dataset(PIXELS))
    assert is_dicom(content[:132])
    assert to_png(content).startswith(b"\x89PNG")


def test_a_refusal_is_one_line_with_its_code() -> None:
    with pytest.raises(PneumoError, match=r"^DICOM multi_frame: 30 frames") as caught:
        to_png(to_bytes(make_dataset(PIXELS, NumberOfFrames=30)))
    assert "\n" not in str(caught.value)
    assert not leaks(str(caught.value))


def test_a_header_that_disagrees_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "knee.dcm"
    path.write_bytes(to_bytes(make_dataset(PIXELS, BodyPartExamined="KNEE")))
    assert read_file(path).startswith(b"\x89PNG")
    assert caplog.messages == [f"{path}: BodyPartExamined is not the chest"]
