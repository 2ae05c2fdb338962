"""Files without the preamble of 128 bytes, or without the whole file meta information."""

import io

import numpy as np
import pytest
from PIL import Image

from core.images.dicom import notes as n
from core.images.dicom.load import load
from core.images.dicom.read import DicomRules, is_dicom
from core.images.errors import ImageError
from tests.support.images.dicoms import make_dataset, to_bytes

pytest.importorskip("pydicom", reason="needs the extra `dicom`")

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
PICTURE = np.add.outer(np.arange(64) * 32, np.arange(72) * 28).astype(np.uint16)
PLAIN = PICTURE / PICTURE.max() * 255


def shown(content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the image, 0 to 255, and the notes."""
    loaded = load(content, DicomRules())
    with Image.open(io.BytesIO(loaded.png)) as opened:
        wide = np.asarray(opened)
    return wide / (257.0 if wide.dtype == np.uint16 else 1.0), loaded.notes


def headless(syntax: str, keep: str) -> bytes:
    content = to_bytes(make_dataset(PICTURE, bits_stored=12), syntax)
    data = 144 + int.from_bytes(content[140:144], "little")
    return {"DICM": content[128:], "meta": content[132:], "data": content[data:]}[keep]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("keep", ["DICM", "meta", "data"])
def test_without_preamble(syntax: str, keep: str) -> None:
    content = headless(syntax, keep)
    assert is_dicom(content[:132])
    image, notes = shown(content)
    np.testing.assert_allclose(image, PLAIN, atol=0.1)
    assert set(notes) == {n.NO_PREAMBLE} | ({n.NO_TRANSFER_SYNTAX} if keep == "data" else set())


def test_compressed_without_preamble() -> None:
    content = headless("1.2.840.10008.1.2.5", "meta")
    np.testing.assert_allclose(shown(content)[0], PLAIN, atol=0.1)
    with pytest.raises(ImageError, match=r"^transfer_syntax: "):
        load(headless("1.2.840.10008.1.2.5", "data"), DicomRules())
    deflated = headless("1.2.840.10008.1.2.1.99", "meta")
    np.testing.assert_allclose(shown(deflated)[0], PLAIN, atol=0.1)


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"\x08", b"\x08\0\x05\0", b"\x02\0\0\0", b"\x08\0\x05\0\xff\xff\xff\xff"),
        *(b"DICMabcd", b"\0\0\1\0\1\0\x10\x10", b"II*\0\x08\0\0\0", b"\xff\xd8\xff\xe0"),
        *(b"GIF89a", b"PK\3\4"),
    ],
)
def test_other_files_are_not_taken_for_dicom(head: bytes) -> None:
    assert not is_dicom(head.ljust(132, b"\xff")[: 132 if head else 0])
