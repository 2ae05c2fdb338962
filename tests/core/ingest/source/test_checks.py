import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from core.images.dicom.refusal import Refusal
from core.images.perceptual_hash import BITS, perceptual_hash
from core.ingest.source.checks import check_image, statistics
from tests.support.images.synthetic import FORMS, color, encode, exif, gray

LIMITS = (100_000_000, 1)


def _bits(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_common_form_is_accepted(form):
    data = FORMS[form]()
    checked = check_image(data, *LIMITS)
    assert checked.format == form.split("_")[0]
    assert checked.sha256 == hashlib.sha256(data).hexdigest()
    assert checked.bytes == len(data)


@pytest.mark.parametrize("turn", range(1, 9))
def test_rotated_images_measure_as_displayed(turn):
    plain = check_image(encode(Image.fromarray(gray()), "PNG"), *LIMITS)
    tagged = check_image(encode(Image.fromarray(gray()), "PNG", exif=exif(turn)), *LIMITS)
    sides = (61, 83) if turn < 5 else (83, 61)
    assert (tagged.height, tagged.width) == sides
    assert (tagged.pixel_hash == plain.pixel_hash) == (turn == 1)


def test_equal_pixels_in_other_bytes_have_the_same_pixel_hash():
    pixels = Image.fromarray(gray())
    forms = [encode(pixels.convert(mode), "PNG") for mode in ("L", "RGB", "RGBA", "LA", "P")]
    forms.append(encode(Image.fromarray(gray().astype(np.uint16) * 257), "PNG"))
    assert len({check_image(data, *LIMITS).pixel_hash for data in forms}) == 1
    assert len({check_image(data, *LIMITS).sha256 for data in forms}) == len(forms)


def test_alpha_is_dropped_not_blended():
    opaque, clear = np.dstack([color(), gray()]), np.dstack([color(), gray() * 0])
    a, b = (
        check_image(encode(Image.fromarray(x, "RGBA"), "PNG"), *LIMITS) for x in (opaque, clear)
    )
    assert a.pixel_hash == b.pixel_hash


def test_statistics_are_numpys():
    pixels = gray(90, 120)
    stats = check_image(encode(Image.fromarray(pixels), "PNG"), *LIMITS).stats
    share = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    assert stats["stats/mean"] == pytest.approx(pixels.mean(), abs=1e-3)
    assert stats["stats/std"] == pytest.approx(pixels.std(), abs=1e-3)
    percentile = {"method": "inverted_cdf"}
    assert stats["stats/p01"] == np.percentile(pixels, 1, **percentile)
    assert stats["stats/p99"] == np.percentile(pixels, 99, **percentile)
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    assert stats["stats/entropy"] == pytest.approx(entropy, abs=1e-3)
    assert stats["stats/aspect"] == pytest.approx(120 / 90, abs=1e-5)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_statistics_of_one_gray_value(value):
    histogram = np.zeros(256)
    histogram[value] = 10
    assert list(statistics(histogram, 1.0).values()) == [value, 0.0, value, value, 0.0, 1.0]


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_are_an_image_or_refused(data, head):
    with pytest.raises(Refusal):
        check_image(head + data, *LIMITS)


@given(st.sampled_from(["jpeg_gray", "png_rgb", "jpeg_progressive"]), st.data())
@settings(max_examples=150)
def test_damage_never_raises_anything_else(form, draw):
    data = bytearray(FORMS[form]())
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        checked = check_image(bytes(data[: draw.draw(st.integers(0, len(data)))]), *LIMITS)
    except Refusal:
        return
    assert checked.height > 0


@given(
    st.sampled_from(["jpeg_gray", "jpeg_progressive", "jpeg_rgb", "png_gray", "png_16bit"]),
    st.data(),
)
@settings(max_examples=80)
def test_a_file_that_is_cut_is_never_accepted(form, draw):
    data = FORMS[form]()
    with pytest.raises(Refusal):
        check_image(data[: draw.draw(st.integers(0, len(data) - 1))], *LIMITS)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [((61 * 83, 61), None), ((61 * 83 - 1, 1), "too_large"), ((10**8, 62), "too_small")],
)
def test_limits_are_exact(limits, reason):
    data = FORMS["png_gray"]()
    if reason is None:
        assert check_image(data, *limits).width == 83
    else:
        with pytest.raises(Refusal, match=reason):
            check_image(data, *limits)


def test_a_dark_gray_lower_edge_is_no_truncation():
    pixels = gray(64, 64)
    pixels[40:] = 100
    assert check_image(encode(Image.fromarray(pixels), "JPEG"), *LIMITS).height == 64


def test_perceptual_hash_is_near_for_copies_and_far_for_others():
    one, other = (Image.fromarray(gray(200, 160, seed)) for seed in (1, 2))
    base = perceptual_hash(one)
    assert len(base) * 8 == BITS
    copies = [
        one.resize((80, 100), Image.Resampling.BILINEAR),
        one.filter(ImageFilter.GaussianBlur(1)),
        one.point([min(255, v + 20) for v in range(256)]),
    ]
    assert max(_bits(base, perceptual_hash(copy)) for copy in copies) <= 24
    assert _bits(base, perceptual_hash(other)) > 60


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (64, 64), (2, 2)])
def test_perceptual_hash_of_degenerate_images(size):
    assert perceptual_hash(Image.new("L", size, 128)) == bytes(32)
