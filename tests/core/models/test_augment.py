from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models.augment import augment
from core.models.options import AugmentOptions
from tests.core.models.augmentations import OFF, SINGLE
from tests.support.images.synthetic import gray


def only(**changes: Any) -> AugmentOptions:
    return AugmentOptions(**{**OFF, **changes})


def images(n: int = 6, side: int = 32) -> np.ndarray:
    return np.stack([gray(side, side, i) for i in range(n)])[..., None]


def run(pixels: np.ndarray, options: AugmentOptions, seed: tuple[int, int] = (1, 2)) -> np.ndarray:
    return np.asarray(augment(tf.constant(pixels), options, tf.constant(seed, tf.int32)))


def test_all_options_off_returns_the_images() -> None:
    assert np.array_equal(run(images(), only()), images())


@pytest.mark.parametrize(("name", "value"), SINGLE.items())
def test_each_change_eager_and_in_tf_data(name: str, value: float) -> None:
    options = only(**{name: value})
    got = run(images(), options)
    assert got.dtype == np.uint8
    assert got.shape == images().shape
    assert not np.array_equal(got, images())
    np.testing.assert_array_equal(got, run(images(), options))
    assert not np.array_equal(got, run(images(), options, (1, 3)))
    stream = (
        tf.data.Dataset.from_tensor_slices(images())
        .batch(6)
        .map(lambda x: augment(x, options, tf.constant((1, 2), tf.int32)))
    )
    inside = next(stream.as_numpy_iterator())
    # A traced graph may fuse operations, which can change the rounding of a value.
    assert np.abs(inside.astype(int) - got).max() <= 1
    assert (inside != got).mean() < 1e-3


def test_images_of_a_batch_get_different_parameters() -> None:
    same = np.repeat(images(1), 8, axis=0)
    for name, value in SINGLE.items():
        if name != "flip":
            got = run(same, only(**{name: value}))
            assert len({row.tobytes() for row in got}) == 8, name


def test_changes_have_independent_random_numbers() -> None:
    both = run(images(), only(flip=True, rotation=20))
    rotated = run(images(), only(rotation=20))
    flipped = run(images(), only(flip=True))
    for i in range(6):
        # Images that are not flipped must be rotated by the same angle.
        if np.array_equal(flipped[i], images()[i]):
            np.testing.assert_array_equal(both[i], rotated[i])
        else:
            np.testing.assert_array_equal(flipped[i], images()[i][:, ::-1])
    assert 0 < sum(np.array_equal(flipped[i], images()[i]) for i in range(6)) < 6


def test_brightness_range() -> None:
    gray_image = np.full((200, 4, 4, 1), 128, np.uint8)
    moved = run(gray_image, only(brightness=0.2)).astype(int) - 128
    assert np.abs(moved).max() in (50, 51)
    assert moved.min() < -40 < 40 < moved.max()
    assert (moved == moved[:, :1, :1]).all()


def test_contrast_keeps_the_mean() -> None:
    many = np.repeat(images(1), 200, axis=0)
    got = run(many, only(contrast=0.3)).astype(float)
    ratio = got.std(axis=(1, 2, 3)) / many[0].std()
    assert 0.69 < ratio.min() < 0.75
    assert 1.2 < ratio.max() < 1.31
    assert np.abs(got.mean(axis=(1, 2, 3)) - many[0].mean()).max() < 2  # because of clipping


def test_noise_deviation() -> None:
    gray_image = np.full((4, 64, 64, 1), 128, np.uint8)
    got = run(gray_image, only(noise=0.02)).astype(float)
    assert got.std() == pytest.approx(0.02 * 255, rel=0.05)
    assert got.mean() == pytest.approx(128, abs=0.2)


def test_shift_range() -> None:
    dot = np.zeros((300, 41, 41, 1), np.uint8)
    dot[:, 20, 20] = 255
    got = run(dot, only(shift=0.1)).astype(float)[..., 0]
    mass = got.sum(axis=(1, 2))
    rows = (got.sum(axis=2) * np.arange(41)).sum(axis=1) / mass - 20
    columns = (got.sum(axis=1) * np.arange(41)).sum(axis=1) / mass - 20
    for moved in (rows, columns):
        assert 3.8 < moved.max() < 4.15
        assert -4.15 < moved.min() < -3.8
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.2


def test_rotation_and_zoom_are_about_the_center() -> None:
    cross = np.zeros((300, 41, 41, 1), np.uint8)
    cross[:, 20, 36] = 255  # 16 to the right of the center
    y, x = np.mgrid[0:41, 0:41] - 20

    def centers_of_mass(options: AugmentOptions) -> tuple[np.ndarray, np.ndarray]:
        got = run(cross, options).astype(float)[..., 0]
        mass = got.sum(axis=(1, 2))
        return (got * y).sum(axis=(1, 2)) / mass, (got * x).sum(axis=(1, 2)) / mass

    down, right = centers_of_mass(only(rotation=30))
    np.testing.assert_allclose(np.hypot(down, right), 16, atol=0.3)
    angles = np.degrees(np.arctan2(down, right))
    assert 28 < angles.max() < 31
    assert -31 < angles.min() < -28
    down, right = centers_of_mass(only(zoom=0.1))
    np.testing.assert_allclose(down, 0, atol=0.1)
    assert 14.2 < right.min() < 14.8
    assert 17.2 < right.max() < 17.8


def ramps(n: int, side: int) -> np.ndarray:
    """Images whose gray level is the column (first half) or the row (second half)."""
    columns = np.broadcast_to(np.arange(side, dtype=np.uint8), (side, side))
    return np.concatenate([np.stack([columns] * n), np.stack([columns.T] * n)])[..., None]


def test_crop_area_aspect_and_position() -> None:
    side = 200
    got = run(ramps(400, side), only(crop=(0.2, 0.5), crop_aspect=2.0)).astype(float)[..., 0]
    left, right = got[:400, 0, 0], got[:400, 0, -1]
    top, bottom = got[400:, 0, 0], got[400:, -1, 0]
    # The same seed draws other crops for the second half, so only the widths are compared.
    for low, high in ((left, right), (top, bottom)):
        width = (high - low + 1) / side
        assert np.sqrt(0.2 / 2) - 0.02 < width.min() < 0.4
        assert 0.8 < width.max() <= 1.01
        assert low.min() < 10
        assert high.max() > side - 10


@pytest.mark.parametrize(("area", "aspect"), [((0.25, 0.25), 1.0), ((1.0, 1.0), 1.0)])
def test_crop_of_a_fixed_area(area: tuple[float, float], aspect: float) -> None:
    side = 100
    got = run(ramps(50, side), only(crop=area, crop_aspect=aspect)).astype(float)[..., 0]
    width = got[:50, 0, -1] - got[:50, 0, 0] + 1
    np.testing.assert_allclose(width, side * area[0] ** 0.5, atol=2)


def test_whole_crop_of_the_same_size_changes_nothing() -> None:
    got = run(images(), only(crop=(1.0, 1.0), crop_aspect=1.0))
    np.testing.assert_array_equal(got, images())


@pytest.mark.parametrize("options", [{}, {"noise": 0.01}, {"rotation": 5.0}, {"crop": (0.1, 1.0)}])
@pytest.mark.parametrize("side", [1, 20, 32, 50])
def test_side_of_the_result(options: dict[str, Any], side: int) -> None:
    seed = tf.constant((1, 2), tf.int32)
    got = np.asarray(augment(tf.constant(images()), only(**options), seed, side))
    assert got.shape == (6, side, side, 1)
    if side > 1 and not options.get("crop"):
        # The same picture, resized: its mean stays.
        np.testing.assert_allclose(got.mean(axis=(1, 2, 3)), images().mean(axis=(1, 2, 3)), atol=8)


def test_gamma_range() -> None:
    gray_image = np.full((300, 2, 2, 1), 64, np.uint8)
    exponents = np.log(run(gray_image, only(gamma=1.0))[:, 0, 0, 0] / 255) / np.log(64 / 255)
    assert 0.49 < exponents.min() < 0.53
    assert 1.9 < exponents.max() < 2.02
    assert abs(np.median(np.log(exponents))) < 0.15
    for value in (0, 255):
        flat = np.full((3, 2, 2, 1), value, np.uint8)
        np.testing.assert_array_equal(run(flat, only(gamma=1.0)), flat)


@pytest.mark.parametrize("crop", [(0.0, 1.0), (0.6, 0.5), (0.5, 1.5), (-0.1, 0.5)])
def test_impossible_crop(crop: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"crop must be \[smallest, largest\]"):
        only(crop=crop)


@pytest.mark.parametrize("side", [1, 2, 3])
@pytest.mark.parametrize("value", [0, 255])
def test_tiny_images(side: int, value: int) -> None:
    tiny = np.full((3, side, side, 1), value, np.uint8)
    geometry = only(rotation=90, shift=0.9, zoom=0.9, flip=True, contrast=0.9, crop=(0.01, 1.0))
    np.testing.assert_array_equal(run(tiny, geometry), tiny)
    assert run(tiny, AugmentOptions()).shape == tiny.shape


def test_no_image() -> None:
    assert run(np.zeros((0, 8, 8, 1), np.uint8), AugmentOptions(flip=True)).shape == (0, 8, 8, 1)


def test_oblong_image_keeps_its_shape() -> None:
    oblong = gray(20, 33)[None, ..., None]
    assert run(oblong, AugmentOptions()).shape == (1, 20, 33, 1)


@settings(max_examples=25)
@given(
    value=st.integers(0, 255),
    seed=st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1)),
    rotation=st.floats(0, 180),
    shift=st.floats(0, 0.99),
    zoom=st.floats(0, 0.99),
    contrast=st.floats(0, 0.99),
)
def test_a_constant_image_stays_constant(
    value: int,
    seed: tuple[int, int],
    rotation: float,
    shift: float,
    zoom: float,
    contrast: float,
) -> None:
    flat = np.full((2, 9, 9, 1), value, np.uint8)
    options = only(rotation=rotation, shift=shift, zoom=zoom, contrast=contrast)
    np.testing.assert_array_equal(run(flat, options, seed), flat)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31 - 1), brightness=st.floats(0, 0.99), noise=st.floats(0, 0.05))
def test_values_are_clipped(seed: int, brightness: float, noise: float) -> None:
    both = np.stack([np.zeros((5, 5, 1), np.uint8), np.full((5, 5, 1), 255, np.uint8)])
    got = run(both, only(brightness=brightness), (seed, 0)).astype(int)
    assert got[0].max() <= 255 * brightness + 1
    assert got[1].min() >= 254 - 255 * brightness
    noisy = run(both, only(noise=noise), (seed, 0)).astype(int)
    assert noisy[0].max() < 128 <= noisy[1].min()
