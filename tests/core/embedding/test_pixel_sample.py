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
    kept = pixel_sample.PixelSampler()
    kept.add(*batch(5, [1, 4], 0))
    kept.add(*batch(3, [], 5))
    kept.add(*batch(5, [0, 2, 3], 8))
    kept.add(*batch(5, [0], 13))
    kept.write(tmp_path)
    marked, plain = pixel_sample.read_samples(tmp_path)
    assert marked is not None
    assert plain is not None
    for (pixels, rows), expected in ((marked, [1, 4, 8, 10]), (plain, [0, 2, 3, 5])):
        assert rows.tolist() == expected
        assert pixels.shape == (4, 3, 3, 1)
        assert pixels[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize("boxes", [None, np.zeros((2, 0, 4), np.float32)])
def test_none_of_a_kind(tmp_path: Path, boxes: np.ndarray | None) -> None:
    kept = pixel_sample.PixelSampler()
    kept.add(np.zeros((2, 3, 3, 1), np.uint8), boxes)
    kept.write(tmp_path)
    marked, plain = pixel_sample.read_samples(tmp_path)
    assert marked is None
    assert plain is not None
    assert plain[1].tolist() == [0, 1]
    assert pixel_sample.read_samples(tmp_path / "empty") == (None, None)
