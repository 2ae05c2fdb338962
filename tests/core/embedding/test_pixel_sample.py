from pathlib import Path

import numpy as np
import pytest

from core.embedding import pixel_sample


def batch(n: int, with_box: list[int], start: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.arange(start, start + n, dtype=np.uint8)[:, None, None, None]
    boxes = np.full((n, 2, 4), np.nan, np.float32)
    boxes[with_box, 0] = 0.5
    return np.broadcast_to(pixels, (n, 3, 3, 1)), boxes


def test_the_first_images_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_sample, "MAX_IMAGES", 4)
    sampler = pixel_sample.PixelSampler()
    sampler.add(*batch(5, [1, 4], 0))
    sampler.add(*batch(3, [], 5))
    sampler.add(*batch(5, [0, 2, 3], 8))
    sampler.add(*batch(5, [0], 13))
    sampler.write(tmp_path)
    boxed, unboxed = pixel_sample.read_samples(tmp_path)
    assert boxed is not None
    assert unboxed is not None
    for (pixels, rows), expected in ((boxed, [1, 4, 8, 10]), (unboxed, [0, 2, 3, 5])):
        assert rows.tolist() == expected
        assert pixels.shape == (4, 3, 3, 1)
        assert pixels[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize("boxes", [None, np.zeros((2, 0, 4), np.float32)])
def test_no_images_with_boxes(tmp_path: Path, boxes: np.ndarray | None) -> None:
    sampler = pixel_sample.PixelSampler()
    sampler.add(np.zeros((2, 3, 3, 1), np.uint8), boxes)
    sampler.write(tmp_path)
    boxed, unboxed = pixel_sample.read_samples(tmp_path)
    assert boxed is None
    assert unboxed is not None
    assert unboxed[1].tolist() == [0, 1]
    assert pixel_sample.read_samples(tmp_path / "empty") == (None, None)
