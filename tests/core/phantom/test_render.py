from dataclasses import replace

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy, sample_exposure
from core.phantom.findings import Findings, sample_findings
from core.phantom.marks import burn_side_marker, burn_synthetic_mark, mark_box
from core.phantom.render import SyntheticRadiograph, render
from schema.labels import BACTERIA, NORMAL, VIRUS


def draw(pathogen: str, k: int, size: int = 160) -> SyntheticRadiograph:
    rng = np.random.default_rng([k, 77])
    anatomy, findings = sample_anatomy(rng), sample_findings(rng, pathogen)
    return render(anatomy, findings, sample_exposure(rng), rng, size=size, with_lungs=True)


@pytest.mark.parametrize("pathogen", [NORMAL, BACTERIA, VIRUS])
@pytest.mark.parametrize("size", [64, 97, 320])
def test_shape_dtype_and_range(pathogen: str, size: int) -> None:
    image = draw(pathogen, size, size)
    height, width = image.pixels.shape
    assert image.pixels.dtype == np.uint8
    assert width == size
    assert size / 1.46 <= height <= size / 1.09
    assert image.lungs is not None
    assert image.lungs.shape == image.pixels.shape
    assert image.pixels.std() > 30


def test_same_arguments_give_the_same_pixels() -> None:
    assert np.array_equal(draw(BACTERIA, 4).pixels, draw(BACTERIA, 4).pixels)
    assert not np.array_equal(draw(BACTERIA, 4).pixels[:50], draw(BACTERIA, 5).pixels[:50])


def test_only_focal_findings_have_boxes() -> None:
    counts = {name: [len(draw(name, k, 64).boxes) for k in range(12)] for name in (NORMAL, VIRUS)}
    assert counts == {NORMAL: [0] * 12, VIRUS: [0] * 12}
    focal = [len(draw(BACTERIA, k, 64).boxes) for k in range(40)]
    assert set(focal) == {1, 2}


def test_boxes_lie_in_the_lungs() -> None:
    for k in range(20):
        image = draw(BACTERIA, k)
        assert image.lungs is not None
        height, width = image.pixels.shape
        rows, columns = np.nonzero(image.lungs)
        for x0, y0, x1, y1 in image.boxes:
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            assert columns.min() - 6 <= x0 and x1 <= columns.max() + 6
            assert rows.min() - 6 <= y0 and y1 <= rows.max() + 6
            assert image.lungs[y0:y1, x0:x1].mean() > 0.35


def test_a_finding_changes_the_lungs_and_little_else() -> None:
    rng = np.random.default_rng(11)
    anatomy, exposure = sample_anatomy(rng), replace(sample_exposure(rng), marker="")
    findings = sample_findings(rng, BACTERIA)
    healthy = render(anatomy, Findings(), exposure, np.random.default_rng(1), with_lungs=True)
    sick = render(anatomy, findings, exposure, np.random.default_rng(1), with_lungs=True)
    x0, y0, x1, y1 = sick.boxes[0]
    change = sick.pixels.astype(int) - healthy.pixels
    inside = change[y0:y1, x0:x1].mean()
    upper_edge = change[: healthy.pixels.shape[0] // 12]
    assert inside > 8
    assert abs(upper_edge.mean()) < inside / 3


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (64, 64), (240, 320)])
def test_marks_fit_into_any_image(shape: tuple[int, int]) -> None:
    pixels = np.full(shape, 90, np.uint8)
    burn_side_marker(pixels, "R", (0.99, 0.0), 0.3)
    burn_synthetic_mark(pixels)
    x0, y0, x1, y1 = mark_box(shape)
    assert 0 <= x0 < x1 == shape[1]
    assert 0 <= y0 < y1 == shape[0]
    assert not np.all(pixels[y0:y1, x0:x1] == 90)


def test_mark_is_the_same_for_every_class() -> None:
    images = [draw(name, k) for name in (NORMAL, BACTERIA, VIRUS) for k in range(4)]
    corners = []
    for image in images:
        height, width = image.pixels.shape
        x0, y0, x1, y1 = mark_box((height, width))
        corners.append((width - x0, height - y0, image.pixels[y0:y1, x0:x1].tobytes()))
    assert len(set(corners)) == 1
