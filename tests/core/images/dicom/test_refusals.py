"""What is no single gray radiograph: one line, a code, and nothing that the file holds."""

import logging
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images.dicom.decode import coded_size
from core.images.dicom.load import load, to_png
from core.images.dicom.read import DicomRules
from core.images.errors import ImageError
from tests.support.images.bad_dicoms import PIXELS, REJECTED
from tests.support.images.dicoms import SYNTAXES, make_dataset, to_bytes
from tests.support.images.identities import IDENTITIES, leaks

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")


def refusal(content: bytes, rules: DicomRules | None = None) -> ImageError:
    with pytest.raises(ImageError) as caught:
        load(content, rules or DicomRules(), "salt", "a/b.dcm")
    return caught.value


@pytest.mark.parametrize("case", REJECTED)
def test_each_refusal_is_one_line_of_our_own(
    case: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    build, reason, detail = REJECTED[case]
    content = build()
    capfd.readouterr()
    caplog.clear()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        error = refusal(content)
    out, err = capfd.readouterr()
    text = f"{error} {error.__cause__} {out} {err} {caplog.text} {[str(w.message) for w in warned]}"
    assert not leaks(text)
    assert "\n" not in str(error)
    assert error.__suppress_context__
    assert str(error).startswith(f"{reason}: " if reason else error.reason)
    assert detail in error.detail
    assert not warned
    assert out == err == caplog.text == ""


@pytest.mark.parametrize("modality", ["CR", "DX", "DR", "RG"])
@pytest.mark.parametrize("secondary", ["radiographs", "accept"])
def test_radiographs_are_taken(modality: str, secondary: Any) -> None:
    rsna = make_dataset(PIXELS, modality=modality, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert to_png(to_bytes(rsna), DicomRules(secondary=secondary))


@pytest.mark.parametrize(
    ("attributes", "secondary", "reason"),
    [
        ({"modality": "OT"}, "accept", None),
        ({"modality": "SC"}, "accept", None),
        ({"Modality": None}, "accept", None),
        ({"modality": "CT"}, "accept", "wrong_modality"),
        ({"modality": "OT"}, "refuse", "secondary_capture"),
        (
            {"modality": "CR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
            "refuse",
            "secondary_capture",
        ),
        ({"modality": "CR"}, "refuse", None),
    ],
)
def test_secondary_captures(attributes: dict[str, Any], secondary: Any, reason: str | None) -> None:
    content = to_bytes(make_dataset(PIXELS, **attributes))
    if reason is None:
        assert to_png(content, DicomRules(secondary=secondary))
    else:
        assert refusal(content, DicomRules(secondary=secondary)).reason == reason


def test_the_limit_of_pixels_is_exact() -> None:
    content = to_bytes(make_dataset(PIXELS))
    assert to_png(content, DicomRules(max_pixels=40 * 32))
    assert refusal(content, DicomRules(max_pixels=40 * 32 - 1)).reason == "too_large"
    longer = to_bytes(make_dataset(PIXELS, PixelSpacing=[0.2, 0.1]))
    assert refusal(longer, DicomRules(max_pixels=40 * 32)).reason == "too_large"


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_without_its_plugin_a_syntax_is_refused_by_name(
    syntax: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom.pixels import get_decoder

    decoder = get_decoder(syntax.uid)
    content = to_bytes(make_dataset(PIXELS), syntax.uid)
    if not decoder.is_encapsulated:
        assert to_png(content)
        return
    monkeypatch.setattr(decoder, "_available", {})
    error = refusal(content)
    assert error.reason == "missing_plugin"
    assert decoder.UID.name in error.detail
    assert "install the extra `dicom`" in error.detail


@given(st.sampled_from(SYNTAXES), st.data())
@settings(max_examples=300)
def test_damage_is_a_refusal_or_a_picture(syntax: Any, draw: st.DataObject) -> None:
    content = bytearray(WHOLE[syntax.name])
    for _ in range(draw.draw(st.integers(0, 5))):
        at = draw.draw(st.integers(132, len(content) - 1))
        content[at] = draw.draw(st.integers(0, 255))
    damaged = bytes(content[: draw.draw(st.integers(132, len(content)))])
    try:
        assert to_png(damaged).startswith(b"\x89PNG")
    except ImageError as error:
        assert "\n" not in str(error)
        assert not leaks(str(error))


WHOLE = {syntax.name: to_bytes(make_dataset(PIXELS), syntax.uid) for syntax in SYNTAXES}


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (b"", None),
        (b"\xff\xd8", None),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08\0\x05\0\x07\x01", (5, 7)),
        (b"\xff\xd8\xff\xff\xc3\0\x0b\x08\0\x05\0\x07\x01", (5, 7)),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x05\0\x07\x01", (5, 7)),
        (b"\xff\xd8\xff\xc4\0\x03a\xff\xc1\0\x0b\x0c\x01\0\0\x02\x01", (256, 2)),
        (b"\xff\xd8\0\0\0\0\0\0\0\0\0\0\0\0\0\0", None),
    ],
)
def test_the_size_in_a_header(frame: bytes, size: tuple[int, int] | None) -> None:
    assert coded_size(frame) == size


def test_planted_identities_are_many() -> None:
    assert len(IDENTITIES) > 30
