import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images.decode_pillow import decode_gray_pillow
from core.images.decode_tf import decode_gray
from core.images.resize_tf import from_png, resize_gray, to_png
from core.images.rules import FITS
from tests.support.images.synthetic import FORMS, encode, exif, gray, sixteen_bit


@pytest.mark.parametrize("form", [name for name in FORMS if name != "jpeg_cmyk"])
def test_decodes_like_pillow(form: str) -> None:
    content = FORMS[form]()
    decoded = decode_gray(tf.constant(content)).numpy()[..., 0]
    expected = np.asarray(decode_gray_pillow(content))
    assert decoded.dtype == np.uint8
    assert decoded.shape == expected.shape
    # Builds of libjpeg may round color conversion differently; gray files must be equal.
    tolerance = 2 if form in ("jpeg_rgb", "jpeg_444") else 0
    np.testing.assert_allclose(decoded.astype(int), expected.astype(int), atol=tolerance)


def test_cmyk_is_close_to_pillow() -> None:
    content = FORMS["jpeg_cmyk"]()
    decoded = decode_gray(tf.constant(content)).numpy()[..., 0].astype(int)
    expected = np.asarray(decode_gray_pillow(content)).astype(int)
    assert np.abs(decoded - expected).mean() < 3


def test_sixteen_bit_keeps_the_full_range() -> None:
    deep = np.linspace(0, 65535, 61 * 83).reshape(61, 83).astype(np.uint16)
    decoded = decode_gray(tf.constant(encode(Image.fromarray(deep), "PNG"))).numpy()[..., 0]
    assert (decoded.min(), decoded.max()) == (0, 255)
    np.testing.assert_array_equal(decoded, np.round(deep / 257).astype(np.uint8))
    assert sixteen_bit().dtype == np.uint16


def test_every_orientation_gives_the_upright_picture() -> None:
    upright = gray(40, 64)
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # EXIF -> the transpose that undoes it
    for turn, method in inverse.items():
        stored = Image.fromarray(upright).transpose(method)
        content = encode(stored, "PNG", exif=exif(turn))
        decoded = decode_gray(tf.constant(content)).numpy()[..., 0]
        np.testing.assert_array_equal(decoded, upright, err_msg=f"orientation {turn}")


@pytest.mark.parametrize(
    "content",
    [b"", b"not an image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, b"<html></html>"],
    ids=["empty", "text", "jpeg_magic", "png_magic", "html"],
)
def test_what_is_no_image_is_an_error(content: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_gray(tf.constant(content))


def test_truncated_jpeg_is_an_error() -> None:
    content = FORMS["jpeg_gray"]()
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_gray(tf.constant(content[: len(content) // 2]))


@pytest.mark.parametrize("damage", range(6))
def test_damaged_exif_is_upright(damage: int) -> None:
    content = bytearray(FORMS["jpeg_exif_6"]())
    at = content.index(b"Exif\0\0") + 6
    spans = [(0, 2), (4, 8), (8, 10), (10, 12), (18, 30), (0, 40)]
    low, high = spans[damage]
    content[at + low : at + high] = b"\xff" * (high - low)
    decoded = decode_gray(tf.constant(bytes(content)))
    assert sorted(decoded.shape[:2]) == [61, 83]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (61, 83), (32, 32), (200, 7)])
def test_resize_gives_a_square(shape: tuple[int, int], fit: str) -> None:
    resized = resize_gray(tf.constant(gray(*shape)[..., None]), 32, fit)
    assert resized.shape == (32, 32, 1)
    assert resized.dtype == tf.uint8


def test_pad_keeps_the_aspect() -> None:
    white = tf.fill([20, 40, 1], tf.constant(255, tf.uint8))
    padded = resize_gray(white, 40, "pad").numpy()[..., 0]
    assert (padded[10:30] == 255).all()
    assert (padded[:10] == 0).all()
    assert (padded[30:] == 0).all()


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (20, 40, slice(0, 20), slice(10, 30)),
        (40, 21, slice(9, 30), slice(0, 21)),  # of an odd rest, more is cut below
        (20, 21, slice(0, 20), slice(0, 20)),
        (33, 33, slice(0, 33), slice(0, 33)),
        (1, 7, slice(0, 1), slice(3, 4)),
    ],
)
@pytest.mark.parametrize("size", [8, 20, 50])
def test_crop_is_the_stretched_central_square(
    height: int, width: int, rows: slice, columns: slice, size: int
) -> None:
    image = gray(height, width)[..., None]
    cropped = resize_gray(tf.constant(image), size, "crop")
    expected = resize_gray(tf.constant(image[rows, columns]), size, "stretch")
    np.testing.assert_array_equal(cropped, expected)


def test_same_size_changes_nothing() -> None:
    image = gray(48, 48)[..., None]
    for fit in FITS:
        np.testing.assert_array_equal(resize_gray(tf.constant(image), 48, fit).numpy(), image)


def test_unknown_fit_is_named() -> None:
    with pytest.raises(ValueError, match="'fill'"):
        resize_gray(tf.zeros([4, 4, 1], tf.uint8), 4, "fill")


@settings(max_examples=25)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 99))
def test_png_round_trip_is_lossless(height: int, width: int, seed: int) -> None:
    content = encode(Image.fromarray(gray(height, width, seed)), "PNG")
    small = from_png(to_png(tf.constant([content]), 24, "stretch"), 24)
    direct = resize_gray(decode_gray(tf.constant(content)), 24, "stretch")
    np.testing.assert_array_equal(small[0].numpy(), direct.numpy())


@pytest.mark.parametrize("fit", FITS)
def test_eager_and_graph_and_dataset_agree(fit: str) -> None:
    contents = [make() for make in FORMS.values()]
    eager = np.stack([resize_gray(decode_gray(tf.constant(c)), 32, fit).numpy() for c in contents])
    graph = from_png(tf.function(lambda x: to_png(x, 32, fit))(tf.constant(contents)), 32)
    dataset = (
        tf.data.Dataset.from_tensor_slices(contents)
        .map(lambda c: resize_gray(decode_gray(c), 32, fit), num_parallel_calls=2)
        .batch(len(contents))
    )
    np.testing.assert_array_equal(graph.numpy(), eager)
    np.testing.assert_array_equal(next(iter(dataset)).numpy(), eager)


def test_empty_batch() -> None:
    assert from_png(to_png(tf.constant([], tf.string), 16, "pad"), 16).shape == (0, 16, 16, 1)
