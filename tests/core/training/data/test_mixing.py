import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from core.training.classifier.losses import partial_cross_entropy
from core.training.data.mixing import mix_batch

SIDE = 32
ALPHA = st.floats(0.05, 8.0)
SEED = st.integers(0, 2**31 - 1)


def batch(count: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns images of the constant gray level 20 * i, targets (image 2 is partial), weights."""
    pixels = np.zeros((count, SIDE, SIDE, 1), np.uint8) + 20 * np.arange(count)[:, None, None, None]
    targets = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
    targets[2:3, 1:] = 1
    weights = 1 + np.arange(count, dtype=np.float32)
    return tf.constant(pixels.astype(np.uint8)), tf.constant(targets), tf.constant(weights)


def mixed(
    count: int, seed: int, mixup: float | None = None, cutmix: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels, targets, weights = (
        output.numpy() for output in mix_batch(*batch(count), tf.constant([seed, 1]), mixup, cutmix)
    )
    assert (pixels.shape, pixels.dtype) == ((count, SIDE, SIDE, 1), np.uint8)
    assert (targets.shape, targets.dtype) == ((count, 2, 3), np.float32)
    np.testing.assert_allclose(targets.max(axis=2).sum(axis=1), 1, rtol=1e-5)
    assert (weights > 0).all()
    return pixels, targets, weights


def first_parts(targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the part of the first image, without its weight in the loss."""
    return targets[:, 0].max(axis=1) * weights / (1 + np.arange(len(weights)))


@given(SEED, ALPHA)
@settings(max_examples=30)
def test_mixup_averages_pixels_with_the_parts(seed: int, alpha: float) -> None:
    pixels, targets, weights = mixed(8, seed, mixup=alpha)
    part = first_parts(targets, weights)
    assert (part >= 0.5 - 1e-5).all()
    rest = targets[:, 1].max(axis=1) * weights  # (1 - part) times the weight of the partner
    for i, image in enumerate(pixels[..., 0]):
        assert (image == image[0, 0]).all()
        if part[i] > 0.99:
            continue
        partner = rest[i] / (1 - part[i]) - 1
        expected = 20 * (part[i] * i + (1 - part[i]) * partner)
        assert image[0, 0] == pytest.approx(expected, abs=1)


@given(SEED, ALPHA)
@settings(max_examples=30)
def test_the_area_of_cutmix_is_the_part(seed: int, alpha: float) -> None:
    pixels, targets, weights = mixed(8, seed, cutmix=alpha)
    kept = first_parts(targets, weights)
    for i, image in enumerate(pixels[..., 0]):
        other = image != 20 * i
        if not other.any():  # no rectangle, or the image is its own partner
            continue
        assert kept[i] == pytest.approx(1 - other.mean(), abs=1e-5)
        rows, columns = np.flatnonzero(other.any(1)), np.flatnonzero(other.any(0))
        inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (inside == inside[0, 0]).all()
        assert inside.size == other.sum()
        np.testing.assert_array_equal(targets[i, 1] > 0, batch(8)[1][inside[0, 0] // 20] > 0)


@pytest.mark.parametrize("alpha", [1e-6, 1e-3])
@pytest.mark.parametrize("count", [1, 7])
def test_a_vanishing_mixup_is_none(alpha: float, count: int) -> None:
    pixels, targets, weights = mixed(count, 3, mixup=alpha)
    plain = batch(count)
    np.testing.assert_array_equal(pixels, plain[0])
    np.testing.assert_allclose(targets.sum(axis=1), plain[1], atol=1e-6)
    np.testing.assert_allclose(weights, plain[2], rtol=1e-6)
    logits = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    np.testing.assert_allclose(
        partial_cross_entropy(tf.constant(targets), tf.constant(logits)),
        partial_cross_entropy(plain[1], tf.constant(logits)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("mixup, cutmix", [(1.0, None), (None, 1.0), (0.4, 1.0)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_single_image_stays(mixup: float | None, cutmix: float | None, count: int) -> None:
    pixels, targets, weights = mixed(count, 1, mixup, cutmix)
    if count == 1:
        np.testing.assert_array_equal(pixels, batch(1)[0])
        np.testing.assert_allclose(targets.sum(axis=1), batch(1)[1], atol=1e-6)
        np.testing.assert_allclose(weights, 1, rtol=1e-6)


def test_both_kinds_occur_and_the_seed_decides() -> None:
    first = mixed(12, 5, 1.0, 1.0)
    for one, other in zip(first, mixed(12, 5, 1.0, 1.0), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[0] != mixed(12, 6, 1.0, 1.0)[0]).any()
    constant = [bool((image == image[0, 0]).all()) for image in first[0]]
    assert 0 < sum(constant) < 12


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 4.0])
def test_the_parts_follow_the_beta_distribution(alpha: float) -> None:
    from scipy.stats import beta

    ones = tf.ones([4000])
    pixels = tf.zeros([4000, 1, 1, 1], tf.uint8)
    seed = tf.constant([2, 3])
    _, targets, _ = mix_batch(pixels, ones[:, tf.newaxis], ones, seed, alpha, None)
    larger = targets.numpy()[:, 0, 0]
    for x in (0.6, 0.75, 0.9, 0.99):
        expected = 1 - 2 * beta.sf(x, alpha, alpha)  # of the larger of two parts
        assert (larger < x).mean() == pytest.approx(expected, abs=0.03)


@given(st.lists(st.floats(-9, 9), min_size=3, max_size=3), st.floats(0, 1))
def test_loss_of_a_mixed_image_is_the_mean_of_the_losses(values: list[float], part: float) -> None:
    logits = tf.constant([values], tf.float32)
    certain, partial = np.float32([1, 0, 0]), np.float32([0, 1, 1])
    for options in ({}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0}):
        both = tf.constant([[certain * part, partial * (1 - part)]], tf.float32)
        loss = partial_cross_entropy(both, logits, **options)
        alone = [
            partial_cross_entropy(tf.constant([row]), logits, **options).numpy()[0]
            for row in (certain, partial)
        ]
        expected = part * alone[0] + (1 - part) * alone[1]
        np.testing.assert_allclose(loss, [expected], rtol=1e-3, atol=1e-4)
    # With one possible class each, it is the cross entropy with the averaged target.
    soft = np.float32([part, 1 - part, 0])
    pair = tf.constant([[soft * [1, 0, 0], soft * [0, 1, 0]]], tf.float32)
    usual = tf.nn.softmax_cross_entropy_with_logits([soft], logits)
    np.testing.assert_allclose(partial_cross_entropy(pair, logits), usual, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("gamma", [None, 0.5, 2.0])
def test_gradients_of_mixed_images_are_finite(part: float, gamma: float | None) -> None:
    logits = tf.constant([[100.0, -100.0, -100.0]])
    targets = tf.constant([[[part, 0.0, 0.0], [0.0, 1 - part, 1 - part]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = partial_cross_entropy(targets, logits, focal_gamma=gamma, label_smoothing=0.1)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, logits)).all()
