import numpy as np
import pytest

from core.images.corruptions import CORRUPTIONS, LEVELS, corrupt

RANDOM = np.random.default_rng(0)
# Parameter at which nothing changes; JPEG has none.
IDENTITY = {
    "gamma": 1.0,
    "contrast": 1.0,
    "brightness": 0.0,
    "blur": 0.0,
    "noise": 0.0,
    "resolution": 1.0,
    "border": 0.0,
    "crop": 0.0,
}
EVERY = [(name, level) for name in CORRUPTIONS for level in LEVELS]


def radiograph(h: int = 224, w: int = 200) -> np.ndarray:
    """Two dark lungs, with texture, in a brighter body; 40 to 220 gray levels."""
    y, x = np.mgrid[0:h, 0:w] / (max(h, w) - 1)
    lungs = sum(np.exp(-(((x - at) / 0.12) ** 2) - ((y - 0.5) / 0.3) ** 2) for at in (0.25, 0.6))
    texture = np.random.default_rng(1).normal(0, 6, (h, w))
    return np.clip(190 - 120 * lungs + 20 * np.sin(40 * y) + texture, 40, 220).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_distance_to_the_original_grows_with_the_level(name: str) -> None:
    pixels = radiograph()
    distances = [
        np.abs(corrupt(pixels, name, level).astype(float) - pixels).mean() for level in LEVELS
    ]
    assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_neutral_value_changes_nothing(name: str) -> None:
    pixels, function = radiograph(), CORRUPTIONS[name].function
    if name == "JPEG":
        assert np.abs(function(pixels, 100, RANDOM).astype(int) - pixels).max() <= 2
    else:
        np.testing.assert_array_equal(
            function(pixels, IDENTITY[name.partition(",")[0]], RANDOM), pixels
        )


@pytest.mark.parametrize(("name", "level"), EVERY)
@pytest.mark.parametrize(
    "pixels",
    [
        radiograph(),
        radiograph(33, 50),
        np.zeros((1, 1), np.uint8),
        np.full((1, 1), 255, np.uint8),
        np.full((17, 1), 90, np.uint8),
        np.full((20, 20), 0, np.uint8),
        np.full((20, 20), 255, np.uint8),
        radiograph()[::2, ::-1],  # not contiguous
    ],
    ids=["tall", "wide", "one dark pixel", "one bright pixel", "line", "black", "white", "strided"],
)
def test_shape_and_type_stay_and_the_input_is_not_changed(
    pixels: np.ndarray, name: str, level: str
) -> None:
    before = pixels.copy()
    result = corrupt(pixels, name, level)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(("name", "level"), EVERY)
def test_equal_seeds_give_equal_images(name: str, level: str) -> None:
    pixels = radiograph()
    first, again, other = (corrupt(pixels, name, level, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() == (name == "noise")


@pytest.mark.parametrize(
    ("name", "gray", "expected"),
    [
        ("gamma, darker", 51, round(255 * 0.2**1.5)),
        ("gamma, lighter", 51, round(255 * 0.2 ** (1 / 1.5))),
        ("brightness, lower", 20, 0),
        ("brightness, higher", 240, 255),
        ("contrast, lower", 77, 77),
        ("contrast, higher", 77, 77),
        ("blur", 77, 77),
        ("JPEG", 128, 128),
        ("resolution", 77, 77),
        ("crop", 77, 77),
    ],
)
def test_a_constant_image_stays_constant(name: str, gray: int, expected: int) -> None:
    result = corrupt(np.full((24, 24), gray, np.uint8), name, "moderate")
    np.testing.assert_array_equal(result, expected)


def test_a_border_is_black_and_a_crop_keeps_the_center() -> None:
    pixels = np.full((40, 40), 200, np.uint8)
    framed = corrupt(pixels, "border", "severe")
    assert not framed[:4].any() and not framed[:, -4:].any()
    assert (framed[4:36, 4:36] == 200).all()
    pixels[:4] = pixels[-4:] = pixels[:, :4] = pixels[:, -4:] = 0
    assert (corrupt(pixels, "crop", "severe") == 200).all()


def test_the_strength_of_the_noise() -> None:
    pixels = np.full((200, 200), 128, np.uint8)
    for level, sd in zip(LEVELS, CORRUPTIONS["noise"].values, strict=True):
        assert corrupt(pixels, "noise", level).std() == pytest.approx(sd, rel=0.03)
