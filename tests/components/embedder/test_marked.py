from pathlib import Path

import numpy as np
import pytest

from components.embedder import marked


def batch(n: int, with_box: list[int], start: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.arange(start, start + n, dtype=np.uint8)[:, None, None, None]
    boxes = np.full((n, 2, 4), np.nan, np.float32)
    boxes[with_box, 0] = 0.5
    return np.broadcast_to(pixels, (n, 3, 3, 1)), boxes


def test_the_first_images_with_a_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marked, "MOST", 4)
    kept = marked.Marked()
    kept.add(*batch(5, [1, 4], 0))
    kept.add(*batch(3, [], 5))
    kept.add(*batch(5, [0, 2, 3], 8))
    kept.add(*batch(5, [0], 13))
    kept.write(tmp_path)
    found = marked.read(tmp_path)
    assert found is not None
    pixels, rows = found
    assert rows.tolist() == [1, 4, 8, 10]
    assert pixels.shape == (4, 3, 3, 1)
    assert pixels[:, 0, 0, 0].tolist() == [1, 4, 8, 10]


def test_none(tmp_path: Path) -> None:
    kept = marked.Marked()
    kept.add(np.zeros((2, 3, 3, 1), np.uint8), None)
    kept.add(np.zeros((2, 3, 3, 1), np.uint8), np.zeros((2, 0, 4), np.float32))
    kept.write(tmp_path)
    assert marked.read(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
