import io
import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from core.images.decode_tf import decode_gray
from core.images.resize_tf import resize_gray
from core.images.rules import CONTENT_STATUSES, STATUS_MESSAGES, ImageLimits
from core.images.validate_tf import decode_batch
from tests.support.images import mutations
from tests.support.images.synthetic import FORMS, encode, gray, png_file
from tests.support.memory import resident_memory

SIZE = 24
GOOD = FORMS["jpeg_rgb"]()
TINY = ImageLimits(max_bytes=20_000, max_pixels=10_000, min_side=16, max_scanned=160_000)


def decode(contents: list[bytes], limits: ImageLimits = TINY) -> tuple[np.ndarray, list[str]]:
    batch = decode_batch(tf.constant(contents, tf.string), SIZE, "pad", limits)
    return batch.pixels.numpy(), [text.decode() for text in batch.status.numpy()]


def reason(content: bytes) -> str:
    return decode_batch(tf.constant([content]), SIZE, "pad", TINY).reason.numpy()[0].decode()


def expected_pixels(content: bytes) -> np.ndarray:
    return resize_gray(decode_gray(tf.constant(content)), SIZE, "pad").numpy()


def scans(count: int) -> bytes:
    """Returns a progressive JPEG with its last scan repeated."""
    content = FORMS["jpeg_progressive"]()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + b"\xff\xd9"


def cut_and_closed(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\xff\xd9"


def without_last_rows() -> bytes:
    """Returns a JPEG of 20 rows without its last row of blocks, which is 4 pixels high."""
    content = encode(Image.fromarray(gray(20, 24)), "JPEG", restart_marker_rows=1)
    return content[: content.index(b"\xff\xd1") - 1] + b"\xff\xd9"


REJECTED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "EMPTY"),
    "text": (lambda: b"not an image", "NOT_JPEG_OR_PNG"),
    "html": (lambda: b"<html></html>", "NOT_JPEG_OR_PNG"),
    "gif": (lambda: encode(Image.fromarray(gray()), "GIF"), "NOT_JPEG_OR_PNG"),
    "bmp": (lambda: encode(Image.fromarray(gray()), "BMP"), "NOT_JPEG_OR_PNG"),
    "two_bytes": (lambda: GOOD[:2], "NOT_JPEG_OR_PNG"),
    "jpeg_magic": (lambda: GOOD[:3], "TRUNCATED"),
    "png_magic": (lambda: FORMS["png_gray"]()[:8], "TRUNCATED"),
    "png_half_header": (lambda: FORMS["png_gray"]()[:20], "TRUNCATED"),
    "jpeg_cut": (lambda: GOOD[: len(GOOD) // 2], "TRUNCATED"),
    "png_cut": (lambda: FORMS["png_rgb"]()[:-2000], "TRUNCATED"),
    "jpeg_cut_and_closed": (lambda: cut_and_closed(GOOD), "TRUNCATED"),
    "jpeg_without_last_rows": (without_last_rows, "TRUNCATED"),
    "png_checksum": (
        lambda: FORMS["png_gray"]().replace(b"IDAT", b"IDAT\0", 1)[:-1],
        "DAMAGED",
    ),
    "jpeg_no_tables": (lambda: GOOD.replace(b"\xff\xdb", b"\xff\xe5"), "DAMAGED"),
    "jpeg_lossless": (
        lambda: FORMS["jpeg_gray"]().replace(b"\xff\xc0", b"\xff\xc3"),
        "UNSUPPORTED_JPEG",
    ),
    "png_zeros": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 90 + b"IEND", "TOO_SMALL"),
    "bytes": (lambda: GOOD + b"\0" * 20_000, "TOO_MANY_BYTES"),
    "pixels_jpeg": (lambda: encode(Image.fromarray(gray(101, 100)), "JPEG"), "TOO_MANY_PIXELS"),
    "pixels_png": (
        lambda: encode(Image.fromarray(np.zeros((101, 100), np.uint8)), "PNG"),
        "TOO_MANY_PIXELS",
    ),
    "jpeg_claims_too_much": (
        lambda: mutations.with_jpeg_sides(GOOD, 65000, 65000),
        "TOO_MANY_PIXELS",
    ),
    "png_claims_too_much": (
        lambda: mutations.with_png_sides(FORMS["png_gray"](), 2**31 - 1, 2**31 - 1),
        "TOO_MANY_PIXELS",
    ),
    "png_claims_more_than_int32": (
        lambda: mutations.with_png_sides(FORMS["png_gray"](), 2**32 - 1, 2**32 - 1),
        "TOO_MANY_PIXELS",
    ),
    "scans": (lambda: scans(35), "TOO_MANY_PIXELS"),
    "small": (lambda: encode(Image.fromarray(gray(15, 90)), "PNG"), "TOO_SMALL"),
    "one_pixel": (FORMS["png_1x1"], "TOO_SMALL"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_rejected_image_has_a_status_and_black_pixels(case: str) -> None:
    make, expected = REJECTED[case]
    pixels, status = decode([GOOD, make(), GOOD])
    assert status[1] == expected
    assert status[0] == status[2] == "OK"
    assert not pixels[1].any()
    np.testing.assert_array_equal(pixels[0], expected_pixels(GOOD))
    np.testing.assert_array_equal(pixels[2], expected_pixels(GOOD))


def test_every_status_occurs() -> None:
    reached = {expected for _, expected in REJECTED.values()} | {"OK"}
    assert reached == set(STATUS_MESSAGES) - set(CONTENT_STATUSES)


@pytest.mark.parametrize("case", REJECTED)
def test_the_reason_of_a_status_is_its_message_with_details(case: str) -> None:
    make, status = REJECTED[case]
    message = STATUS_MESSAGES[status]
    assert re.fullmatch(rf"{re.escape(message)}( \(.+\))?", reason(make()))


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("jpeg_lossless", "a kind of JPEG that is not supported (lossless JPEG"),
        ("scans", "the image is too large (too many progressive scans)"),
        ("small", "the image is too small (90 x 15 pixels; each side at least 16)"),
        ("bytes", "the file is too large ("),
    ],
)
def test_details_of_a_reason(case: str, text: str) -> None:
    assert reason(REJECTED[case][0]()).startswith(text)


def test_a_valid_image_has_no_reason() -> None:
    assert reason(GOOD) == ""


NO_RADIOGRAPH = {
    "png_1bit": "FEW_GRAY_VALUES",
    "png_1x1": "LOW_RESOLUTION",
    "jpeg_odd": "LOW_RESOLUTION",
}


@pytest.mark.parametrize("form", FORMS)
def test_valid_images_are_decoded_like_transform(form: str) -> None:
    content = FORMS[form]()
    pixels, status = decode([content], ImageLimits(min_side=1))
    assert status == [NO_RADIOGRAPH.get(form, "OK")]
    np.testing.assert_array_equal(pixels[0], expected_pixels(content))


@pytest.mark.parametrize("form", FORMS)
def test_sides_are_those_of_the_displayed_image(form: str) -> None:
    content = FORMS[form]()
    with Image.open(io.BytesIO(content)) as opened:
        width, height = ImageOps.exif_transpose(opened).size
    bad = content[: len(content) // 2]
    batch = decode_batch(tf.constant([b"", content, bad]), SIZE, "pad", ImageLimits(min_side=1))
    np.testing.assert_array_equal(batch.sides, [[0, 0], [height, width], [0, 0]])
    assert batch.sides.dtype == tf.int64


def test_unusual_valid_files() -> None:
    """Interlaced, with a transparent color, with 12 scans, with bytes after the end."""
    interlaced = _interlaced(gray(40, 33))
    transparent = io.BytesIO()
    Image.fromarray(gray()).save(transparent, "PNG", transparency=77)
    contents = [interlaced, transparent.getvalue(), scans(3), GOOD + b"more", interlaced + b"more"]
    pixels, status = decode(contents)
    assert status == ["OK"] * 5
    np.testing.assert_array_equal(pixels, np.stack(list(map(expected_pixels, contents))))
    plain = expected_pixels(encode(Image.fromarray(gray(40, 33)), "PNG"))
    np.testing.assert_array_equal(pixels[0], plain)
    np.testing.assert_array_equal(pixels[1], expected_pixels(FORMS["png_gray"]()))


def _interlaced(image: np.ndarray) -> bytes:
    """Encodes a gray PNG in the seven passes of Adam7, which Pillow does not write."""
    height, width = image.shape
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = [b"\0" + row.tobytes() for y, x, dy, dx in passes for row in image[y::dy, x::dx]]
    return png_file(width, height, zlib.compress(b"".join(rows)), interlace=1)


@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_any_batch_size(count: int) -> None:
    for content, expected in ((GOOD, "OK"), (GOOD[:99], "TRUNCATED"), (b"x", "NOT_JPEG_OR_PNG")):
        pixels, status = decode([content] * count)
        assert pixels.shape == (count, SIZE, SIZE, 1)
        assert status == [expected] * count


def test_a_decompression_bomb_is_not_decoded() -> None:
    """400 megapixels in 50 KB, sixteen times."""
    bomb = encode(Image.new("L", (20_000, 20_000)), "PNG")
    assert len(bomb) < 1 << 20
    before = resident_memory()
    _, status = decode([bomb] * 16 + [GOOD], ImageLimits())
    assert status == ["TOO_MANY_PIXELS"] * 16 + ["OK"]
    assert resident_memory() - before < 300
