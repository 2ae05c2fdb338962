import numpy as np
import pytest
from PIL import Image

from core.images.overlay import BOX_COLOR, draw_overlay, inferno


def black(height: int = 100, width: int = 200) -> Image.Image:
    return Image.fromarray(np.zeros((height, width), np.uint8))


def test_heat_is_drawn_at_its_position() -> None:
    heat = np.zeros((10, 20))
    heat[7, 3] = 1
    picture = np.asarray(draw_overlay(black(), heat)).astype(int)
    bright = picture.sum(axis=-1)
    row, column = np.unravel_index(bright.argmax(), bright.shape)
    assert (abs(row - 75) <= 5, abs(column - 35) <= 5) == (True, True)
    assert bright[:55].max() == 0
    np.testing.assert_array_equal(np.asarray(draw_overlay(black(), np.zeros((3, 3)))), 0)
    half = np.zeros((10, 20))
    half[:, 10:] = 1
    picture = np.asarray(draw_overlay(black(), half)).astype(int)
    assert picture[:, :90].max() == 0
    expected = 0.6 * inferno(np.ones((100, 85)))
    np.testing.assert_allclose(picture[:, 115:], expected, atol=1)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_box_is_drawn_at_its_position(scale: int) -> None:
    box = [20.0 * scale, 50.0 * scale, 80.0 * scale, 150.0 * scale]
    picture = np.asarray(draw_overlay(black(100 * scale, 200 * scale), None, [box], side=200))
    assert picture.shape == (100, 200, 3)
    lines = (picture == BOX_COLOR).all(axis=-1)
    assert lines[20, 51:150].all()
    assert lines[80, 51:150].all()
    assert lines[21:80, 50].all()
    assert lines[21:80, 150].all()
    assert not lines[30:70, 60:140].any()
    assert not lines[:18].any()
