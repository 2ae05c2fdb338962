"""Headers that disagree with the pixels: the image is that of a correct header, and noted."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images.dicom import notes as n
from core.images.dicom.load import load
from core.images.dicom.read import DicomRules
from tests.support.images.dicoms import make_dataset, to_bytes

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def chest(bits: int = 12, seed: int = 0) -> np.ndarray:
    """Returns a smooth picture from 0 to 2^bits - 1 with noise, uint16 [64, 72]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :72]
    smooth = np.sin(x / 11 + seed) * np.cos(y / 13) + rng.normal(0, 0.01, (64, 72))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.rint(smooth * (2**bits - 1)).astype(np.uint16)


def shown(content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the image, 0 to 255, and the notes."""
    loaded = load(content, DicomRules())
    with Image.open(io.BytesIO(loaded.png)) as opened:
        wide = np.asarray(opened)
    return wide / (257.0 if wide.dtype == np.uint16 else 1.0), loaded.notes


def render(pixels: np.ndarray, bits: int = 12, **attributes: Any) -> tuple[np.ndarray, set[str]]:
    image, notes = shown(to_bytes(make_dataset(pixels, bits_stored=bits, **attributes)))
    return image, set(notes)


PICTURE = chest()
PLAIN = PICTURE / 4095 * 255


@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": 0, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": -4096},
        {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "NORMAL"},
        {"WindowCenter": 2048, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 60000, "WindowWidth": 100},  # shows nothing
        {"WindowCenter": 2048, "WindowWidth": 1e9},
        {"WindowCenter": 2048},
        {"WindowWidth": 4096},
        {"WindowCenter": [0, -1], "WindowWidth": [0, 0]},
    ],
)
def test_an_impossible_window_is_as_none(attributes: dict[str, Any]) -> None:
    image, notes = render(PICTURE, **attributes)
    np.testing.assert_allclose(image, PLAIN, atol=0.1)
    assert notes == {n.WINDOW_IGNORED}


@pytest.mark.parametrize("raw", [b"Mallowtree", b"nan ", b"inf "])
def test_a_window_that_is_no_number_is_as_none(raw: bytes) -> None:
    from tests.support.images.bad_dicoms import broken

    assert load(broken("WindowCenter", raw), DicomRules()).notes == (n.WINDOW_IGNORED,)


def test_the_first_usable_of_several_windows_counts() -> None:
    usable, notes = render(PICTURE, WindowCenter=1000, WindowWidth=1500)
    image, _ = render(PICTURE, WindowCenter=[0, 9e5, 1000], WindowWidth=[0, 100, 1500])
    np.testing.assert_array_equal(image, usable)
    assert not notes


@pytest.mark.parametrize("attributes", [{}, {"WindowCenter": 2047.5, "WindowWidth": 4096}])
def test_a_slope_of_zero_is_as_none(attributes: dict[str, Any]) -> None:
    image, notes = render(PICTURE, RescaleSlope=0, RescaleIntercept=5, **attributes)
    np.testing.assert_allclose(image, PLAIN, atol=0.1)
    assert notes == {n.RESCALE_IGNORED}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 30), st.integers(1, 40), st.sampled_from(["hot", "dead", "both"]))
def test_single_pixels_do_not_make_the_rest_black(seed: int, count: int, kind: str) -> None:
    picture = chest(12, seed) + 20_000
    plain, _ = render(picture, 16)
    spots = np.random.default_rng(seed).choice(picture.size, count, replace=False)
    values = {"hot": [65535], "dead": [0], "both": [0, 65535]}[kind]
    picture.flat[spots] = np.resize(values, count)
    image, notes = render(picture, 16)
    kept = np.setdiff1d(np.arange(picture.size), spots)
    np.testing.assert_allclose(image.flat[kept], plain.flat[kept], atol=3)
    assert notes == {n.OUTLIERS}


def padded(value: int, dtype: Any = np.int16) -> np.ndarray:
    picture = chest(12).astype(np.int64) - (1024 if dtype is np.int16 else 0)
    picture[:, :20] = value
    return picture.astype(dtype)


@pytest.mark.parametrize(("kind", "padding"), [("SS", -2000), ("US", 63536), ("DS", "-2000")])
def test_padding_of_any_sign(kind: str, padding: Any) -> None:
    made = make_dataset(padded(-2000))
    made.add_new(0x00280120, kind, padding)
    image, _ = shown(to_bytes(made))
    expected = (padded(-2000)[:, 20:] + 1024.0) / 4095 * 255
    np.testing.assert_allclose(image[:, 20:], expected, atol=3)
    assert not image[:, :20].any()


def test_undeclared_padding_does_not_stretch() -> None:
    picture = padded(-30_000)
    image, _ = render(picture, 16)
    np.testing.assert_allclose(image[:, 20:], (picture[:, 20:] + 1024.0) / 4095 * 255, atol=3)


def test_padding_that_covers_the_image_is_ignored() -> None:
    image, _ = render(PICTURE, PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    np.testing.assert_allclose(image, PLAIN, atol=0.1)


def test_padding_with_more_bits_than_stored() -> None:
    """-2000 in 13 bits is 6192."""
    made = make_dataset(padded(-2000), bits_stored=13)
    made.add_new(0x00280120, "US", 6192)
    image, _ = shown(to_bytes(made))
    expected = (padded(-2000)[:, 20:] + 1024.0) / 4095 * 255
    np.testing.assert_allclose(image[:, 20:], expected, atol=3)


@pytest.mark.parametrize("stored", [8, 9, 10, 11])
@pytest.mark.parametrize("sign", [np.uint16, np.int16])
def test_more_bits_than_bits_stored(stored: int, sign: Any) -> None:
    picture = (chest(12).astype(int) - (2048 if sign is np.int16 else 0)).astype(sign)
    image, notes = render(picture, stored)
    np.testing.assert_allclose(image, PLAIN, atol=0.1)
    assert notes == {n.MORE_BITS}


@pytest.mark.parametrize("bits", [12, 14, 16])
def test_values_of_the_other_sign(bits: int) -> None:
    signed = chest(bits - 1).astype(int) - 2 ** (bits - 2)
    made = make_dataset(signed.astype(np.int16), bits_stored=bits, PixelRepresentation=0)
    image, notes = shown(to_bytes(made))
    np.testing.assert_allclose(image, chest(bits - 1) / (2 ** (bits - 1) - 1) * 255, atol=0.1)
    assert notes == (n.OTHER_SIGN,)


def test_a_marker_is_no_evidence_for_the_other_sign() -> None:
    picture = chest(11)
    picture[5:15, 5:15] = 4095
    image, _ = render(picture)
    assert (image[5:15, 5:15] == 255).all()


def with_table(descriptor: list[int], entries: Any, kind: str = "US", **attributes: Any) -> bytes:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    item.add_new("LUTData", kind, entries)
    made = make_dataset(PICTURE, bits_stored=12, VOILUTSequence=[item], **attributes)
    return to_bytes(made)


LINEAR = list(range(4096))
BYTES = np.repeat(np.arange(256), 16).astype(np.uint8)


@pytest.mark.parametrize(
    ("descriptor", "entries", "kind"),
    [
        ([4096, 0, 16], LINEAR, "US"),  # 12 bits, not 16
        ([4096, 0, 8], LINEAR, "US"),
        ([4095, 0, 12], LINEAR, "US"),  # one entry less than there are
        ([256, 0, 12], LINEAR, "US"),
        ([0, 0, 12], LINEAR, "US"),  # 0 stands for 65,536
        ([4096, 0, 16], np.array(LINEAR, "<u2").tobytes(), "OW"),
        ([4096, 0, 16], BYTES.tobytes(), "OW"),
        ([4096, 0, 8], BYTES.view("<u2").tolist(), "US"),  # two entries in a word
    ],
)
def test_entries_of_a_table_are_trusted(descriptor: list[int], entries: Any, kind: str) -> None:
    image, notes = shown(with_table(descriptor, entries, kind))
    np.testing.assert_allclose(image, PLAIN, atol=1.1)
    assert set(notes) <= {n.TABLE_CORRECTED}


@pytest.mark.parametrize(
    ("descriptor", "entries"),
    [([4096, 0, 12], [7] * 4096), ([4096, 0, 12], [0] * 4096), ([4096, 30000, 12], LINEAR)],
)
def test_a_table_that_shows_nothing_is_as_none(descriptor: list[int], entries: list[int]) -> None:
    image, notes = shown(with_table(descriptor, entries))
    np.testing.assert_allclose(image, PLAIN, atol=0.1)
    assert notes == (n.TABLE_IGNORED,)


def test_the_first_value_of_a_table_has_the_sign_of_the_values() -> None:
    signed = (PICTURE.astype(int) - 2048).astype(np.int16)
    for first in (-2048, 65536 - 2048):
        item = pydicom.Dataset()
        item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [4096, first, 12])
        item.add_new("LUTData", "US", LINEAR)
        image, _ = render(signed, 12, VOILUTSequence=[item])
        np.testing.assert_allclose(image, PLAIN, atol=0.1)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, ()),
        ({"PresentationIntentType": "FOR PROCESSING"}, (n.FOR_PROCESSING,)),
        ({"PresentationIntentType": "FOR PRESENTATION"}, ()),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, (n.FOR_PROCESSING,)),
        ({"BodyPartExamined": "KNEE"}, (n.OTHER_BODY_PART,)),
        ({"BodyPartExamined": "Quillfeather"}, (n.OTHER_BODY_PART,)),
        ({"BodyPartExamined": "PORT CHEST"}, ()),
        ({"BodyPartExamined": "thorax"}, ()),
        ({"BodyPartExamined": ""}, ()),
        ({"BodyPartExamined": None}, ()),
    ],
)
def test_what_the_header_says_of_the_image(
    attributes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    made = make_dataset(PICTURE, bits_stored=12, **attributes)
    assert load(to_bytes(made), DicomRules()).notes == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_correct_files_look_like_a_plain_reference(draw: st.DataObject) -> None:
    """Sign, bits, padding, window and slope in every combination."""
    bits = draw.draw(st.integers(9, 16))
    signed = draw.draw(st.booleans())
    offset = 2 ** (bits - 1) if signed else 0
    stored = chest(bits, draw.draw(st.integers(0, 9))).astype(np.int64) - offset
    attributes: dict[str, Any] = {}
    counted = np.ones(stored.shape, bool)
    if draw.draw(st.booleans()):
        stored[:, :15] = -offset
        counted = stored != -offset
        attributes["PixelPaddingValue"] = -offset
    slope = draw.draw(st.sampled_from([None, 1.0, 0.5, 3.0]))
    intercept = draw.draw(st.integers(-2000, 2000))
    if slope is not None:
        attributes |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    physical = stored if slope is None else stored * slope + intercept
    low, high = float(physical[counted].min()), float(physical.max())
    if draw.draw(st.booleans()):
        share = draw.draw(st.sampled_from([0.5, 1.0, 2.0]))
        center, width = round((low + high) / 2), max(round((high - low) * share), 2)
        attributes |= {"WindowCenter": center, "WindowWidth": width}
        expected = np.clip((physical - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    else:
        expected = np.clip((physical - low) / (high - low), 0, 1)
    negative = draw.draw(st.booleans())
    if negative:
        attributes["photometric"] = "MONOCHROME1"
        expected = 1 - expected
    image, notes = render(stored.astype(np.int16 if signed else np.uint16), bits, **attributes)
    np.testing.assert_allclose(image, expected * 255, atol=0.6)
    assert not notes
