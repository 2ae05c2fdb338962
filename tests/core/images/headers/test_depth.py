"""A 16-bit PNG file that holds fewer bits looks like the 8-bit picture, in both readers."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images.decode_pillow import decode_gray_pillow
from core.images.decode_tf import decode_gray
from core.images.headers.deep_png import deep_samples
from core.images.headers.depth import used_bits
from tests.support.images.file_parts import chunk, png_with
from tests.support.images.synthetic import color, encode, gray

_tf = tf.function(decode_gray, input_signature=[tf.TensorSpec([], tf.string)])


def shown(content: bytes) -> np.ndarray:
    """Returns the displayed pixels after checking that both readers agree."""
    pixels = np.asarray(decode_gray_pillow(content))
    np.testing.assert_array_equal(_tf(tf.constant(content)).numpy()[..., 0], pixels)
    return pixels


def full_range(picture: np.ndarray) -> np.ndarray:
    """Stretches the first plane to black and white, as a radiograph is."""
    low, high = int(picture.min()), int(picture.max())
    return ((picture.astype(int) - low) * 255 // (high - low)).astype(np.uint8)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(8, 16),
    st.sampled_from(["gray", "gray and alpha", "rgb", "rgba"]),
    st.sampled_from(["scaled", "shifted"]),
    st.booleans(),
    st.integers(0, 50),
)
def test_every_depth_looks_like_eight_bits(
    bits: int, form: str, scaling: str, declared: bool, seed: int
) -> None:
    picture = color(20, 30, seed) if "rgb" in form else gray(20, 30, seed)
    picture = full_range(picture)
    white = 2**bits - 1
    deep = np.rint(picture * (white / 255)) if scaling == "scaled" else picture * 2.0 ** (bits - 8)
    deep = deep.astype(np.uint16)
    if form in ("gray and alpha", "rgba"):
        opacity = np.full((20, 30, 1), 65535, np.uint16)
        deep = np.dstack([deep, opacity])
    channels = 1 if deep.ndim == 2 else deep.shape[2]
    content = png_with(deep, chunk(b"sBIT", bytes([bits] * channels)) if declared else b"")
    expected = shown(png_with(picture)).astype(int)
    found = shown(content).astype(int)
    assert np.abs(found - expected).max() <= 2
    assert abs(found.mean() - expected.mean()) <= (0.01 if scaling == "scaled" else 1.5)


def test_hot_pixels_do_not_make_the_others_black() -> None:
    deep = full_range(gray(60, 60)).astype(np.uint16) * 16
    hot = deep.copy()
    hot[[3, 40], [5, 50]] = 65535
    difference = shown(png_with(hot)).astype(int) - shown(png_with(deep))
    assert np.count_nonzero(difference) <= 2


@pytest.mark.parametrize(
    ("greatest", "significant", "bits"),
    [
        (255, 0, 8),
        (256, 0, 9),
        (1023, 0, 10),
        (4095, 0, 12),
        (16383, 0, 14),
        (32767, 0, 15),
        (32768, 0, 16),
        (65535, 0, 16),
        (0, 0, 8),
        (3000, 12, 12),
        (1000, 12, 12),
        (1000, 16, 16),  # the file of a dark picture
        (4096, 12, 16),  # scaled to 16 bits, as the standard wants it
        (65535, 12, 16),
        (15, 4, 8),
    ],
)
def test_depth_by_values_and_header(greatest: int, significant: int, bits: int) -> None:
    values = np.array([[0, greatest // 2, greatest]], np.uint16)
    assert used_bits(values, significant) == bits
    declared = chunk(b"sBIT", bytes([significant])) if significant else b""
    scaled = values.astype(int) * 255 / (2**bits - 1)
    assert np.abs(shown(png_with(values, declared)) - scaled).max() <= 0.51


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x11", b"\xff"])
def test_an_invalid_chunk_says_nothing(body: bytes) -> None:
    deep = full_range(gray(20, 30)).astype(np.uint16) * 16
    declared = png_with(deep, chunk(b"sBIT", body))
    np.testing.assert_array_equal(shown(declared), shown(png_with(deep)))


def test_interlaced_files_are_read_with_all_bits() -> None:
    content = bytearray(encode(Image.fromarray(gray(1, 1).astype(np.uint16) * 257), "PNG"))
    assert deep_samples(bytes(content)).shape == (1, 1, 1)
    interlaced = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", bytes.fromhex("00000003 00000002 10 02 00 00 01".replace(" ", "")))
        + chunk(b"IDAT", _adam7())
        + chunk(b"IEND", b"")
    )
    assert deep_samples(interlaced).tolist() == SAMPLES.tolist()
    shown(interlaced)


SAMPLES = np.arange(18, dtype=np.uint16).reshape(2, 3, 3) * 3001 + 77


def _adam7() -> bytes:
    """Compresses SAMPLES (2 rows, 3 columns) in passes 1, 4, 6 and 7, each row unfiltered."""
    import zlib

    rows = [SAMPLES[0, :1], SAMPLES[0, 2:], SAMPLES[0, 1:2], SAMPLES[1]]
    return zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows))
