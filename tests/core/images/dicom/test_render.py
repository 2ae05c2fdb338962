import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.images.dicom.load import to_png
from core.images.dicom.read import is_dicom
from core.images.dicom.render import is_valid_window, stretch, window
from tests.support.images.dicoms import STORED, dicom, make_dataset, to_bytes

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")


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
    """PS3.3 C.11.2.1.2: center 200.5, width 201 shows 100 as black and 300 as white."""
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


@pytest.mark.parametrize(
    ("values", "padding"), [([[7, 7]], None), ([[3]], None), ([[5, 5]], (5.0, 5.0))]
)
def test_a_flat_image_is_black(values: list[list[int]], padding: Any) -> None:
    assert not stretch(np.array(values), np.array(values), padding).any()


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [
        (1, 0, "LINEAR"),
        (1, 0.5, "LINEAR"),
        (1, 0, "SIGMOID"),
        (1, -3, "LINEAR_EXACT"),
        (np.nan, 5, "LINEAR"),
        (0, np.inf, "SIGMOID"),
        (0, 5, "QUILLFEATHER"),
    ],
)
def test_an_invalid_window_is_as_none(center: float, width: float, function: str) -> None:
    assert not is_valid_window(center, width, function)


def test_eight_bits_without_a_window_are_shown_as_they_are() -> None:
    stored = np.array([[7, 51], [102, 200]], np.uint8)
    assert pixels(to_png(dicom(stored, bits=8))).tolist() == stored.tolist()
    changed = dicom(stored, bits=8, RescaleSlope=2, RescaleIntercept=5)
    assert pixels(to_png(changed)).tolist() == [[0, 58], [126, 255]]  # stretched: (v - 7) / 193


def test_a_range_of_padding() -> None:
    shown = pixels(to_png(dicom(PixelPaddingValue=0, PixelPaddingRangeLimit=250)))
    expected = np.clip((STORED.astype(float) - 300) / (4095 - 300), 0, 1) * 65535
    assert shown.tolist() == np.rint(expected).astype(int).tolist()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize(("kind", "bits"), [("US", 10), ("OW", 10), ("OW", 8)])
def test_a_table_in_every_form(syntax: str, kind: str, bits: int) -> None:
    from pydicom.dataset import Dataset

    top = 2**bits - 1
    entries = [top, top // 2, 40, 30, 20, 0]
    data: Any = entries
    if kind == "OW":
        form = ">u2" if syntax.endswith(".2.2") else "<u2"
        data = np.array(entries, "u1" if bits == 8 else form).tobytes()
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [6, 100, bits])
    item.add_new("LUTData", kind, data)
    stored = np.array([[0, 100, 101], [102, 104, 4000]], np.uint16)
    made = make_dataset(stored, bits_stored=12, VOILUTSequence=[item])
    expected = np.rint(np.array([[top, top, top // 2], [40, 20, 0]]) / top * 65535)
    assert pixels(to_png(to_bytes(made, syntax))).tolist() == expected.astype(int).tolist()


def test_a_table_below_zero() -> None:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [4, -2, 16])
    item.add_new("LUTData", "US", [0, 65535, 100, 200])
    stored = np.array([[-500, -2, -1, 0, 1, 500]], np.int16)
    shown = pixels(to_png(dicom(stored, bits=16, VOILUTSequence=[item])))
    assert shown.tolist() == [[0, 0, 65535, 100, 200, 200]]


def test_a_modality_table_comes_before_the_window() -> None:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.add_new("LUTDescriptor", "US", [3, 0, 16])
    item.add_new("LUTData", "US", [1000, 1100, 1200])
    stored = np.array([[0, 1, 2]], np.uint16)
    made = dicom(stored, ModalityLUTSequence=[item], WindowCenter=1100.5, WindowWidth=201)
    assert pixels(to_png(made)).tolist() == [[0, 32768, 65535]]


def test_bits_above_the_stored_ones_are_not_looked_at() -> None:
    """Old files keep an overlay in the four highest bits."""
    dirty = STORED | np.array([[0xF000, 0, 0x8000], [0, 0x1000, 0]], np.uint16)
    assert to_png(dicom(dirty)) == to_png(dicom())
