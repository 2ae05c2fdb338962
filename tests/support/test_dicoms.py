"""The DICOM files of the tests read back as what they were made of."""

import io

import numpy as np
import pytest

from tests.support.images import dicoms, identities

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")

SMOOTH = np.add.outer(np.arange(40.0), np.arange(56.0)) / 94.0  # 0..1


def ready(syntax: dicoms.Syntax) -> dicoms.Syntax:
    if syntax.needs:
        pytest.importorskip(syntax.needs)
    return syntax


def stored(bits: int, signed: bool = False) -> np.ndarray:
    values = np.rint(SMOOTH * (2**bits - 1))
    if signed:
        return (values - 2 ** (bits - 1)).astype(np.int16)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", dicoms.SYNTAXES, ids=lambda syntax: syntax.name)
def test_pixels_come_back(syntax: dicoms.Syntax, bits: int, signed: bool) -> None:
    ready(syntax)
    if bits > syntax.bits or (signed and (bits == 8 or not syntax.signed)):
        pytest.skip("not held by this syntax")
    values = stored(bits, signed)
    content = dicoms.to_bytes(dicoms.make_dataset(values, bits_stored=bits), syntax.uid)
    read = pydicom.dcmread(io.BytesIO(content))
    assert read.file_meta.TransferSyntaxUID == syntax.uid
    assert read.BitsStored == bits
    back = read.pixel_array.astype(int)
    if syntax.lossless:
        assert np.array_equal(back, values)
    else:
        assert np.abs(back - values).max() <= max(3, 2**bits // 40)
        assert read.LossyImageCompression == "01"


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 4, 6), (4, 6, 3)])
def test_shapes(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    read = pydicom.dcmread(io.BytesIO(dicoms.to_bytes(dicoms.make_dataset(values))))
    assert np.array_equal(read.pixel_array, values)


def test_what_is_planted_is_found_and_can_be_left_out() -> None:
    values = stored(8)
    assert identities.leaks(dicoms.to_bytes(dicoms.make_dataset(values))) == list(
        identities.PLANTED
    )
    assert identities.leaks(dicoms.to_bytes(dicoms.make_dataset(values, planted=False))) == []
    assert identities.leaks("patient quillfeather") == ["Quillfeather"]


@pytest.mark.parametrize("syntax", dicoms.SYNTAXES, ids=lambda syntax: syntax.name)
def test_planted_in_every_syntax(syntax: dicoms.Syntax) -> None:
    content = dicoms.to_bytes(dicoms.make_dataset(stored(8)), ready(syntax).uid)
    read = pydicom.dcmread(io.BytesIO(content))
    assert str(read.PatientName) == identities.IDENTITIES["PatientName"]
    if syntax.name != "deflated":
        assert set(identities.leaks(content)) == set(identities.PLANTED)


def test_attributes_are_set_and_removed() -> None:
    made = dicoms.make_dataset(stored(8), PixelSpacing=[0.2, 0.1], Rows=None, PatientName="A^B")
    assert list(made.PixelSpacing) == [0.2, 0.1]
    assert "Rows" not in made
    assert str(made.PatientName) == "A^B"
    assert "PixelData" not in dicoms.make_dataset(None)


def test_to_bytes_leaves_the_data_set() -> None:
    made = dicoms.make_dataset(stored(12), bits_stored=12)
    before = made.to_json()
    dicoms.to_bytes(made, "1.2.840.10008.1.2.5")
    dicoms.to_bytes(made, "1.2.840.10008.1.2.2")
    assert made.to_json() == before
