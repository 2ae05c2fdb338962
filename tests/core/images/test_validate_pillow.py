import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images.errors import ImageError
from core.images.validate_pillow import decode_valid
from tests.support.images.synthetic import FORMS, encode, gray

LIMITS = (100_000_000, 1)


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"]))
def test_random_bytes_are_rejected(data, head):
    with pytest.raises(ImageError):
        decode_valid(head + data, *LIMITS)


@given(st.sampled_from(["jpeg_gray", "png_rgb", "jpeg_progressive"]), st.data())
@settings(max_examples=150)
def test_damage_raises_only_image_errors(form, draw):
    data = bytearray(FORMS[form]())
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        _, gray_image = decode_valid(bytes(data[: draw.draw(st.integers(0, len(data)))]), *LIMITS)
    except ImageError:
        return
    assert gray_image.height > 0


@given(
    st.sampled_from(["jpeg_gray", "jpeg_progressive", "jpeg_rgb", "png_gray", "png_16bit"]),
    st.data(),
)
@settings(max_examples=80)
def test_a_truncated_file_is_rejected(form, draw):
    data = FORMS[form]()
    with pytest.raises(ImageError):
        decode_valid(data[: draw.draw(st.integers(0, len(data) - 1))], *LIMITS)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [((61 * 83, 61), None), ((61 * 83 - 1, 1), "too_large"), ((10**8, 62), "too_small")],
)
def test_limits_are_exact(limits, reason):
    data = FORMS["png_gray"]()
    if reason is None:
        assert decode_valid(data, *limits)[1].width == 83
    else:
        with pytest.raises(ImageError, match=reason):
            decode_valid(data, *limits)


def test_flat_last_rows_of_another_gray_are_accepted():
    pixels = gray(64, 64)
    pixels[40:] = 100
    assert decode_valid(encode(Image.fromarray(pixels), "JPEG"), *LIMITS)[1].height == 64
