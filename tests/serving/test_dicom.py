import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from schema.errors import PneumoError
from serving.dicom import is_dicom, stretch, to_png, window

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")

STORED = np.array([[0, 100, 200], [300, 400, 4095]], np.uint16)


def dicom(stored: np.ndarray = STORED, bits: int = 12, **attributes: Any) -> bytes:
    """A DICOM file; attributes by keyword, None removes one."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "DX"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.BitsAllocated = 8 if bits <= 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as opened:
        return np.asarray(opened)


def test_it_is_known_by_its_first_bytes() -> None:
    assert is_dicom(dicom()[:132])
    assert not is_dicom(b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert not is_dicom(b"")


def test_without_a_window_least_is_black_and_greatest_white() -> None:
    shown = pixels(to_png(dicom()))
    assert shown.dtype == np.uint16
    assert shown.tolist() == np.rint(STORED / 4095 * 65535).astype(int).tolist()


def test_eight_bits_stay_eight() -> None:
    stored = np.array([[0, 51], [102, 255]], np.uint8)
    shown = pixels(to_png(dicom(stored, bits=8)))
    assert shown.dtype == np.uint8
    assert shown.tolist() == stored.tolist()


def test_a_window_by_hand() -> None:
    """PS3.3 C.11.2.1.2: centre 200.5, width 201 shows 100 as black and 300 as white."""
    shown = pixels(to_png(dicom(WindowCenter=200.5, WindowWidth=201)))
    assert shown.tolist() == [[0, 0, 32768], [65535, 65535, 65535]]


def test_the_first_of_several_windows_counts() -> None:
    one = to_png(dicom(WindowCenter=200.5, WindowWidth=201))
    assert to_png(dicom(WindowCenter=[200.5, 900], WindowWidth=[201, 5000])) == one


def test_the_window_is_in_values_after_the_rescale() -> None:
    one = to_png(dicom(WindowCenter=200.5, WindowWidth=201))
    rescaled = dicom(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=-599.5, WindowWidth=401)
    assert pixels(to_png(rescaled)).tolist() == pixels(one).tolist()


def test_signed_values() -> None:
    stored = np.array([[-1024, 0, 1024]], np.int16)
    assert pixels(to_png(dicom(stored))).tolist() == [[0, 32768, 65535]]


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 200.5, "WindowWidth": 201}])
def test_monochrome1_is_the_negative(window: dict[str, float]) -> None:
    white = pixels(to_png(dicom(**window))).astype(int)
    black = pixels(to_png(dicom(PhotometricInterpretation="MONOCHROME1", **window))).astype(int)
    assert np.abs(white + black - 65535).max() <= 1


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 1, "RescaleIntercept": 0}])
def test_a_table_is_looked_up(rescale: dict[str, int]) -> None:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.add_new("LUTDescriptor", "US", [5, 100, 10])
    item.add_new("LUTData", "US", [1023, 500, 400, 300, 0])
    stored = np.array([[0, 100, 101], [102, 104, 4000]], np.uint16)
    shown = pixels(to_png(dicom(stored, VOILUTSequence=[item], **rescale)))
    expected = np.rint(np.array([[1023, 1023, 500], [400, 0, 0]]) / 1023 * 65535)
    assert shown.tolist() == expected.astype(int).tolist()


def test_padding_does_not_stretch() -> None:
    shown = pixels(to_png(dicom(PixelPaddingValue=4095)))
    assert shown.tolist()[1] == [49151, 65535, 65535]


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"NumberOfFrames": 30}, "30 frames"),
        ({"PhotometricInterpretation": "RGB"}, "RGB pixels"),
        ({"PixelData": None}, "without pixels"),
        ({"Rows": 65535, "Columns": 65535}, "TOO_MANY_PIXELS"),
        ({"PixelData": b"\0\0"}, "cannot be decoded"),
        ({"Rows": None}, "cannot be decoded"),
        ({"WindowCenter": 1, "WindowWidth": 0}, "a window 0 wide"),
    ],
)
def test_what_cannot_be_shown_is_one_line(attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(PneumoError, match=says) as caught:
        to_png(dicom(**attributes))
    assert "\n" not in str(caught.value)


@given(cut=st.integers(0, 600), junk=st.binary(max_size=30))
def test_damage_is_one_line_or_a_picture(cut: int, junk: bytes) -> None:
    whole = dicom()
    damaged = whole[:132] + whole[132 : max(132, len(whole) - cut)] + junk
    try:
        assert to_png(damaged).startswith(b"\x89PNG")
    except PneumoError as error:
        assert "\n" not in str(error)


@given(
    st.lists(st.integers(-2000, 5000), min_size=2, max_size=20),
    st.integers(-500, 3000),
    st.integers(1, 4000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_a_window_keeps_the_order(
    values: list[int], center: int, width: int, function: str
) -> None:
    shown = window(np.array([sorted(values)]), center, width, function)[0]
    assert ((shown >= 0) & (shown <= 1)).all()
    assert (np.diff(shown) >= 0).all()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", [0.0, 0.0, (50 - 49.5) / 99 + 0.5, 1.0]),
        ("LINEAR_EXACT", [0.0, 0.0, 0.5, 1.0]),
        ("SIGMOID", [1 / (1 + np.exp(6.0)), 1 / (1 + np.exp(2.0)), 0.5, 1 / (1 + np.exp(-2.0))]),
    ],
)
def test_windows_by_the_standard(function: str, expected: list[float]) -> None:
    shown = window(np.array([-100, 0, 50, 100]), 50, 100, function)
    assert shown.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("values", "ignored"), [([[7, 7]], None), ([[3]], None), ([[5, 5]], 5.0)])
def test_a_flat_image_is_black(values: list[list[int]], ignored: float | None) -> None:
    assert not stretch(np.array(values), ignored).any()
