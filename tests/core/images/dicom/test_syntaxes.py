"""Every transfer syntax that can be written here, with every kind of pixel that it holds."""

import io
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from core.images.dicom.load import to_png
from tests.support.images.dicoms import SYNTAXES, Syntax, make_dataset, to_bytes

pytest.importorskip("pydicom", reason="needs the extra `dicom`")

KINDS: Final[dict[str, tuple[int, type]]] = {
    "8": (8, np.uint8),
    "12": (12, np.uint16),
    "16": (16, np.uint16),
    "signed": (12, np.int16),
}
SHOWN: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "negative": {"PhotometricInterpretation": "MONOCHROME1"},
    "window": {"WindowCenter": 0.5, "WindowWidth": 0.8},  # of the range of the values
    "table": {"VOILUTSequence": True},
}
# Largest difference of stored values of a lossy syntax, as tests/support/dicoms.py writes it;
# measured: 1 for baseline, 3 for extended, 3 for near-lossless at an error of 2, 2 for JPEG 2000
# at 4 to 1.
BOUND: Final = {"jpeg_baseline": 2, "jpeg_extended": 4, "jpegls_near": 4, "jpeg2000": 4}
CASES = [
    (syntax, kind, shown)
    for syntax in SYNTAXES
    for kind, (bits, dtype) in KINDS.items()
    for shown in SHOWN
    if bits <= syntax.bits and (syntax.signed or dtype is not np.int16)
]


def stored(bits: int, dtype: type) -> np.ndarray:
    """Smooth, with the least and the greatest value in it; sides that are no multiples of 8."""
    y, x = np.mgrid[:53, :46]
    smooth = (np.sin(x / 9) * np.cos(y / 7) + 1) / 2
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    values = np.rint(smooth * (2**bits - 1)).astype(np.int64)
    return (values - (2 ** (bits - 1) if dtype is np.int16 else 0)).astype(dtype)


def entries(bits: int) -> int:
    return min(2**bits, 4096)


def attributes(shown: str, bits: int, dtype: type) -> dict[str, Any]:
    from pydicom.dataset import Dataset

    low = -(2 ** (bits - 1)) if dtype is np.int16 else 0
    out = dict(SHOWN[shown])
    if "WindowCenter" in out:
        out["WindowCenter"] = low + out["WindowCenter"] * 2**bits
        out["WindowWidth"] *= 2**bits
    if "VOILUTSequence" in out:
        item = Dataset()
        n = entries(bits)
        first = low + (2**bits - n) // 2
        item.add_new("LUTDescriptor", "SS" if low else "US", [n, first, 16])
        item.add_new("LUTData", "US", list(range(0, 65536, 65536 // n)))
        out["VOILUTSequence"] = [item]
    return out


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(to_png(content))) as opened:
        return np.asarray(opened)


@pytest.mark.parametrize(
    ("syntax", "kind", "shown"), CASES, ids=lambda case: getattr(case, "name", case)
)
def test_pixels_are_those_of_the_uncompressed_file(syntax: Syntax, kind: str, shown: str) -> None:
    if syntax.needs:
        pytest.importorskip(syntax.needs)
    bits, dtype = KINDS[kind]
    dataset = make_dataset(stored(bits, dtype), bits_stored=bits, **attributes(shown, bits, dtype))
    plain = pixels(to_bytes(dataset))
    found = pixels(to_bytes(dataset, syntax.uid))
    assert found.dtype == plain.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert len(np.unique(plain)) > 20
    if syntax.lossless:
        np.testing.assert_array_equal(found, plain)
        return
    # What a step of a stored value is worth: a window 0.8 of the range wide makes it larger.
    worth = 1 / entries(bits) if shown == "table" else 1 / 0.8 / (2**bits - 1)
    step = np.iinfo(plain.dtype).max * worth
    assert np.abs(found.astype(int) - plain).max() <= BOUND[syntax.name] * step + 1


def test_the_bounds_are_for_what_is_lossy() -> None:
    assert set(BOUND) == {syntax.name for syntax in SYNTAXES if not syntax.lossless}
