import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images.checks.content import content_problem, sampled
from core.images.rules import CONTENT_STATUSES
from tests.support.images.radiographs import CONTENT, chest, luma, mask, photograph


@pytest.mark.parametrize("case", CONTENT)
def test_problem_of_an_image(case):
    make, expected = CONTENT[case]
    pixels = make()
    gray, rgb = (pixels, None) if pixels.ndim == 2 else (luma(pixels), pixels)
    assert content_problem(gray, rgb) == expected


def test_every_status_occurs():
    reached = {expected for _, expected in CONTENT.values()}
    assert reached == {"", *CONTENT_STATUSES} - {"LOW_RESOLUTION"}


@given(st.integers(0, 2**31), st.integers(0, 40), st.integers(180, 255), st.floats(0.7, 1.4))
@settings(max_examples=100, deadline=None)
def test_radiographs_pass_and_inverted_ones_do_not(seed, low, high, gamma):
    """Of any contrast and brightness, with a marker, in any aspect ratio of a radiograph."""
    gray = chest(seed, low=low, high=high, gamma=gamma)
    assert content_problem(gray) == ""
    assert content_problem(255 - gray) == "INVERTED"


@given(st.integers(0, 255), st.integers(0, 255), st.floats(0.02, 0.6))
@settings(max_examples=100, deadline=None)
def test_masks_of_any_two_values_do_not_pass(background, foreground, size):
    assert content_problem(mask(background, foreground, size)) != ""


@given(st.sampled_from([0, 255]), st.floats(0.02, 0.6), st.integers(75, 100))
@settings(max_examples=100, deadline=None)
def test_masks_saved_as_jpeg_do_not_pass(background, size, quality):
    assert content_problem(mask(background, 255 - background, size, quality=quality)) != ""


@given(st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_photographs_do_not_pass(seed):
    rgb = photograph(seed)
    assert content_problem(luma(rgb), rgb) == "COLOR_PHOTO"


def test_sampling_bounds_the_cost_of_large_images():
    assert sampled(np.zeros((5000, 4000, 3), np.uint8)).shape == (334, 267, 3)
    assert sampled(np.zeros((300, 200), np.uint8)).shape == (300, 200)
