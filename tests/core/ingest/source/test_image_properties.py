import hashlib

import numpy as np
import pytest
from PIL import Image

from core.images.errors import ImageError
from core.ingest.source.image_properties import gray_statistics, measure_image
from tests.support.images.synthetic import FORMS, color, encode, exif, gray

LIMITS = (100_000_000, 1)


NO_RADIOGRAPH = {"png_1bit": "few_gray_values", "png_1x1": "blank"}


@pytest.mark.parametrize("form", sorted(FORMS.keys() - NO_RADIOGRAPH))
def test_every_common_form_is_accepted(form):
    data = FORMS[form]()
    properties = measure_image(data, *LIMITS)
    assert properties.format == form.split("_")[0]
    assert properties.sha256 == hashlib.sha256(data).hexdigest()
    assert properties.bytes == len(data)


@pytest.mark.parametrize("form", NO_RADIOGRAPH)
def test_an_image_that_is_no_radiograph_is_rejected(form):
    with pytest.raises(ImageError) as error:
        measure_image(FORMS[form](), *LIMITS)
    assert error.value.reason == NO_RADIOGRAPH[form]


@pytest.mark.parametrize("turn", range(1, 9))
def test_rotated_images_measure_as_displayed(turn):
    plain = measure_image(encode(Image.fromarray(gray()), "PNG"), *LIMITS)
    tagged = measure_image(encode(Image.fromarray(gray()), "PNG", exif=exif(turn)), *LIMITS)
    sides = (61, 83) if turn < 5 else (83, 61)
    assert (tagged.height, tagged.width) == sides
    assert (tagged.pixel_hash == plain.pixel_hash) == (turn == 1)


def test_equal_pixels_in_other_bytes_have_the_same_pixel_hash():
    pixels = Image.fromarray(gray())
    forms = [encode(pixels.convert(mode), "PNG") for mode in ("L", "RGB", "RGBA", "LA", "P")]
    forms.append(encode(Image.fromarray(gray().astype(np.uint16) * 257), "PNG"))
    assert len({measure_image(data, *LIMITS).pixel_hash for data in forms}) == 1
    assert len({measure_image(data, *LIMITS).sha256 for data in forms}) == len(forms)


def test_alpha_is_dropped_not_blended():
    opaque, clear = np.dstack([color(), gray()]), np.dstack([color(), gray() * 0])
    a, b = (
        measure_image(encode(Image.fromarray(x, "RGBA"), "PNG"), *LIMITS) for x in (opaque, clear)
    )
    assert a.pixel_hash == b.pixel_hash


def test_statistics_are_numpys():
    pixels = gray(90, 120)
    stats = measure_image(encode(Image.fromarray(pixels), "PNG"), *LIMITS).stats
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
    assert list(gray_statistics(histogram, 1.0).values()) == [value, 0.0, value, value, 0.0, 1.0]
