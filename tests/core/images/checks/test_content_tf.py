import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images.checks.content import content_problem
from core.images.checks.content_tf import content_status
from tests.support.images.radiographs import CONTENT, chest, luma

SIZE = 64


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec([None, None, 1], tf.uint8),
        tf.TensorSpec([None, None, None], tf.uint8),
    ],
)
def _graph(gray: tf.Tensor, planes: tf.Tensor) -> tf.Tensor:
    return content_status(gray, planes, SIZE)


def status_in_graph(gray: np.ndarray, rgb: np.ndarray | None) -> str:
    return (
        _graph(gray[..., np.newaxis], gray[..., np.newaxis] if rgb is None else rgb)
        .numpy()
        .decode()
    )


@pytest.mark.parametrize("case", CONTENT)
def test_status_of_an_image(case):
    make, expected = CONTENT[case]
    pixels = make()
    gray, rgb = (pixels, None) if pixels.ndim == 2 else (luma(pixels), pixels)
    assert status_in_graph(gray, rgb) == (expected or "OK")


@given(
    seed=st.integers(0, 2**31),
    height=st.integers(SIZE // 4, 600),
    width=st.integers(SIZE // 4, 600),
    low=st.integers(0, 255),
    levels=st.integers(1, 40),
    flat=st.floats(0, 1),
    scale=st.integers(1, 8),
    colored=st.sampled_from([None, 0.0, 0.08, 0.1, 0.5]),
)
@settings(max_examples=100, deadline=None)
def test_both_implementations_agree(seed, height, width, low, levels, flat, scale, colored):
    """Few or many gray values, some of them frequent, near the limits of the rules."""
    rng = np.random.default_rng(seed)
    gray = (low + scale * rng.integers(0, levels, (height, width))).clip(0, 255).astype(np.uint8)
    gray[rng.random(gray.shape) < flat] = low
    rgb = None
    if colored is not None:
        rgb = np.repeat(gray[..., np.newaxis], 3, axis=-1)
        at = rng.random(gray.shape) < colored
        rgb[at] = rng.integers(0, 256, (at.sum(), 3))
        gray = luma(rgb)
    assert status_in_graph(gray, rgb) == (content_problem(gray, rgb) or "OK")


@pytest.mark.parametrize(("side", "expected"), [(15, "LOW_RESOLUTION"), (16, "OK")])
def test_an_image_far_smaller_than_the_model_is_too_small(side, expected):
    gray = np.asarray(Image.fromarray(chest(1)).resize((side, 3 * side)))
    assert status_in_graph(gray, None) == expected
