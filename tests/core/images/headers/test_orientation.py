"""One picture has one orientation, whichever reader shows it."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images.decode_pillow import decode_gray_pillow
from core.images.decode_tf import decode_gray
from core.images.headers.orientation import exif_orientation
from core.images.headers.orientation_tf import exif_orientation as exif_orientation_tf
from core.images.headers.segments import MAX_SEGMENTS
from tests.support.images.file_parts import chunk, jpeg_with, png_with, segment, tiff
from tests.support.images.synthetic import gray

PIXELS = gray(24, 40)
EXIF = b"Exif\0\0"
ICC = segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000))
_tf = tf.function(exif_orientation_tf, input_signature=[tf.TensorSpec([], tf.string)])


def both(content: bytes) -> int:
    """Returns the orientation after checking that both implementations agree."""
    found = exif_orientation(content)
    assert int(_tf(tf.constant(content))) == found
    return found


def app1(structure: bytes) -> bytes:
    return segment(0xE1, EXIF + structure)


JPEG = {
    "first": (app1(tiff(6)), 6),
    "behind 64 KiB": (ICC + app1(tiff(6)), 6),
    "behind 1 MB": (ICC * 16 + app1(tiff(8)), 8),
    "after XMP": (segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>") + app1(tiff(3)), 3),
    "after fill bytes": (b"\xff\xff\xff" + app1(tiff(6)), 6),
    "the first of two": (app1(tiff(5)) + app1(tiff(6)), 5),
    "quoted in a comment": (segment(0xFE, app1(tiff(6))) + app1(tiff(3)), 3),
    "only quoted": (segment(0xE2, b"ICC" + app1(tiff(6))), 1),
    "big endian": (app1(tiff(6, ">")), 6),
    "directory behind": (app1(tiff(6, offset=5000)), 6),
    "as byte": (app1(tiff(6, ">", kind=1)), 6),
    "as long": (app1(tiff(6, ">", kind=4)), 6),
    "as text": (app1(tiff(6, kind=2)), 1),
    "two values": (app1(tiff(6, count=2)), 1),
    "zero": (app1(tiff(0)), 1),
    "nine": (app1(tiff(9)), 1),
    "other byte order": (app1(b"XX" + tiff(6)[2:]), 1),
    "cut": (app1(tiff(6)[:30]), 1),
    "empty": (app1(b""), 1),
    "length of nothing": (b"\xff\xe1\0\0" + app1(tiff(6)), 1),
    "too many": (b"\xff\xe3\0\2" * MAX_SEGMENTS + app1(tiff(6)), 1),
}


@pytest.mark.parametrize("case", JPEG)
def test_jpeg(case: str) -> None:
    segments, expected = JPEG[case]
    assert both(jpeg_with(PIXELS, segments)) == expected


LONG = chunk(b"iCCP", bytes(90_000))
PNG = {
    "first": (chunk(b"eXIf", tiff(6)), b"", 6),
    "behind 64 KiB": (LONG + chunk(b"eXIf", tiff(6)), b"", 6),
    "behind the pixels": (b"", chunk(b"eXIf", tiff(8)), 8),
    "with a prefix": (chunk(b"eXIf", EXIF + tiff(6)), b"", 6),
    "the first of two": (chunk(b"eXIf", tiff(3)), chunk(b"eXIf", tiff(6)), 3),
    "quoted in a text": (chunk(b"tEXt", chunk(b"eXIf", tiff(6))), b"", 1),
    "behind the end": (b"", chunk(b"IEND", b"") + chunk(b"eXIf", tiff(6)), 1),
    "empty": (chunk(b"eXIf", b""), b"", 1),
}


@pytest.mark.parametrize("case", PNG)
def test_png(case: str) -> None:
    before, after, expected = PNG[case]
    assert both(png_with(PIXELS, before, after, pixels_per_chunk=50)) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_both_readers_show_the_same(form: str, orientation: int) -> None:
    if form == "jpeg":
        content = jpeg_with(PIXELS, ICC, ICC, app1(tiff(orientation)))
    else:
        content = png_with(PIXELS, LONG, chunk(b"eXIf", tiff(orientation)))
    shown = np.asarray(decode_gray_pillow(content))
    assert shown.shape == (PIXELS.shape if orientation < 5 else PIXELS.shape[::-1])
    np.testing.assert_array_equal(decode_gray(tf.constant(content)).numpy()[..., 0], shown)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_structures_are_read_alike(draw: st.DataObject) -> None:
    order = draw.draw(st.sampled_from("<>"))
    kind = draw.draw(st.sampled_from([1, 3, 4, 5]))
    structure = bytearray(tiff(draw.draw(st.integers(0, 9)), order, kind))
    for _ in range(draw.draw(st.integers(0, 4))):
        at = draw.draw(st.integers(0, len(structure) - 1))
        structure[at] = draw.draw(st.integers(0, 255))
    body = bytes(structure[: draw.draw(st.integers(0, len(structure)))])
    if draw.draw(st.booleans()):
        both(jpeg_with(PIXELS[:8, :8], app1(body)))
    else:
        both(png_with(PIXELS[:8, :8], b"", chunk(b"eXIf", body)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_files_are_read_alike(draw: st.DataObject) -> None:
    noise = st.binary(max_size=12)
    content = bytearray(
        jpeg_with(PIXELS[:8, :8], segment(0xE2, draw.draw(noise)), app1(tiff(6)))
        if draw.draw(st.booleans())
        else png_with(PIXELS[:8, :8], chunk(b"tEXt", draw.draw(noise)) + chunk(b"eXIf", tiff(6)))
    )
    for _ in range(draw.draw(st.integers(0, 4))):
        content[draw.draw(st.integers(8, 90))] = draw.draw(st.integers(0, 255))
    both(bytes(content[: draw.draw(st.integers(12, len(content)))]))
