import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.metrics.boxes.challenge import challenge_score
from core.metrics.registry import BOXES, explanations
from core.predictions.predictions import SplitPredictions
from core.reporting.radiographs import SIDE, label_positions, picture
from core.reporting.report.boxes import box_cases, box_counts, box_section
from core.reporting.report.data import ReportData
from core.reporting.report.example_images import MAX_EXAMPLES
from core.reporting.report.figures import box_precision_recall, froc_curve
from core.reporting.report.page import write_report
from tests.core.reporting.report.artificial_report import RESAMPLES
from tests.support.artificial_run import HOSTILE_NAME
from tests.support.boxes import object_array, synthetic_box_predictions
from tests.support.images.synthetic import encode, gray
from tests.support.pages import check_standalone, read
from tests.support.predictions import synthetic_predictions

CHOSEN = {
    "kind": "detector",
    "threshold": 0.45,
    "shrink": 0.875,
    "combine": "product",
    "score": 0.3125,
    "nms_iou": 0.3,
    "note": "",
}
NONE = np.zeros((0, 4))
A, B, FAR = ([[0.1, 0.1, 0.5, 0.5]], [[0.6, 0.6, 0.9, 0.9]], [[0.0, 0.8, 0.2, 1.0]])


def few(*images: tuple[list[list[float]], list[list[float]], list[float]]) -> SplitPredictions:
    """SplitPredictions of images as (truth, boxes, scores)."""
    n = len(images)
    base = synthetic_box_predictions(n)
    truth, boxes, scores = zip(*images, strict=True)
    positive = np.array([int(len(rows) > 0) for rows in truth])
    return replace(
        base,
        truth_boxes=object_array([np.array(rows).reshape(-1, 4) for rows in truth]),
        boxes=object_array([np.array(rows).reshape(-1, 4) for rows in boxes]),
        box_scores=object_array([np.array(row) for row in scores]),
        positive=positive,
        label=positive,
    )


def data(test: SplitPredictions, **more: Any) -> ReportData:
    image = encode(Image.fromarray(gray()), "PNG")
    given: dict[str, Any] = {
        "resamples": RESAMPLES,
        "predictions": test,
        "val": synthetic_box_predictions(30, 5),
        "images": {str(name): image for name in test.sha256},
        "boxes": CHOSEN,
    }
    return ReportData(name="boxes", **{**given, **more})


GIVEN = few(
    (A, A, [0.9]),  # found
    (A + B, A, [0.8]),  # one of two
    (A, FAR, [0.7]),  # missed, with a false box
    (B, [], []),  # missed; smaller
    (A, A, [0.2]),  # missed: below the threshold
    ([], FAR, [0.95]),  # false alarm
    ([], FAR + A, [0.6, 0.5]),  # two
    ([], FAR, [0.1]),  # in peace
    ([], [], []),
)


def test_counts_and_cases_by_hand() -> None:
    assert box_counts(GIVEN) == {
        "images": 9,
        "with_opacity": 5,
        "opacities": 6,
        "found": 2,
        "shown": 6,
        "false": 4,
        "without": 4,
        "disturbed": 2,
    }
    found = box_cases(GIVEN)
    names = {kind: [row["sha256"] for row in rows] for kind, rows in found.items()}
    assert names == {
        "best": ["id0", "id1"],
        "missed": ["id2", "id4", "id3"],
        "false_alarms": ["id5", "id6"],
    }
    half = found["best"][1]
    assert half["challenge"] == pytest.approx(0.5)
    assert (half["boxes"], half["box_scores"], half["hit"]) == (A, [0.8], [True])
    assert found["missed"][1]["boxes"] == []
    assert {len(rows) for rows in box_cases(synthetic_box_predictions(200, 1)).values()} <= set(
        range(MAX_EXAMPLES + 1)
    )


def test_section() -> None:
    test, val = synthetic_box_predictions(60, 1), synthetic_box_predictions(40, 2)
    found = box_section(test, val, CHOSEN, 100, 0)
    assert found is not None
    shown, scores = test.shown_boxes()
    expected = challenge_score(test.truth_boxes.tolist(), shown.tolist(), scores.tolist())
    assert found["metrics"]["challenge"]["estimate"] == pytest.approx(expected)
    assert set(found["validation"]) == set(BOXES) <= set(explanations())
    assert box_section(test, None, None, 100, 0)["validation"] is None
    assert box_section(synthetic_predictions(20), None, None, 100, 0) is None
    assert box_section(test.where(np.zeros(60, bool)), None, None, 100, 0) is None


def test_page_shows_numbers_and_images(tmp_path: Path) -> None:
    page, facts = write_report(data(GIVEN), tmp_path)
    check_standalone(page)
    text = page.read_text()
    flat = re.sub(r"\s+", " ", text)
    boxes = json.loads(facts.read_text())["boxes"]
    for name in BOXES:
        value = boxes["metrics"][name]
        assert f"{value['estimate']:.3f} ({value['low']:.3f} to {value['high']:.3f}" in flat
    for part in (
        "of 6 marked opacities on 5 images 2 were found",
        "2 of 4 images without an opacity have a box",
        "which was 0.312 there",
    ):
        assert part in flat, part
    pictures_alone = re.sub(r'<p class="legend">.*?</p>', "", text)
    drawn = re.findall(r'<rect class="(truth|guess)"', pictures_alone)
    assert text.count("<svg viewBox") == 7
    # Of the shown images: six opacities, and the six boxes above the threshold; no others.
    assert (drawn.count("truth"), drawn.count("guess")) == (6, 6)


def test_interval_of_zero_width_is_explained(render: Any) -> None:
    for boxes, flat in ((FAR, True), (A, False)):
        given = few((A, boxes, [0.9]), (A, FAR, [0.8]), (B, A, [0.7]), ([], [], []), (A, [], []))
        page, numbers = render(data(given))
        assert ("challenge" in numbers["boxes"]["flat"]) is flat
        assert ("An interval of zero width means" in page) is flat


@pytest.mark.parametrize(
    "test",
    [
        few((A, [], []), (A, [], []), ([], [], [])),
        few((A, FAR, [0.9]), ([], [], [])),
        few(([], FAR, [0.9]), ([], [], [])),
        few(([], [], []), ([], [], [])),
        few((A, A, [0.9])),
        few((A, A, [0.1]), ([], [], [])),
    ],
    ids=["no boxes", "no hit", "no truth", "neither", "one image", "none above the threshold"],
)
def test_degenerate_splits(test: SplitPredictions, render: Any) -> None:
    page, numbers = render(data(test, boxes={"threshold": 0.45}, val=test))
    read(page)
    json.dumps(numbers, allow_nan=False)
    assert froc_curve(test, numbers["boxes"]["metrics"]).startswith(b"\x89PNG")
    assert box_precision_recall(test).startswith(b"\x89PNG")


def test_names_notes_and_missing_images(render: Any) -> None:
    names = GIVEN.filename.astype(object)
    names[0] = HOSTILE_NAME
    note = CHOSEN | {"note": "no true box on validation", "score": None}
    given = data(replace(GIVEN, filename=names.astype(str)), images={}, boxes=note)
    page, _ = render(given)
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "Defaults are in use: no true box on validation." in page
    assert "<svg viewBox" not in page
    assert "2 marked, 1 predicted, 1 of them correct" in read(page).text
    page, numbers = render(data(synthetic_predictions(30), val=None))  # a model without boxes
    assert "Localization of opacities" not in page
    assert "boxes" not in numbers


def test_box_coordinates() -> None:
    image = encode(Image.fromarray(np.zeros((50, 200), np.uint8)), "PNG")
    (row,) = box_cases(few((A, A, [0.9])))["best"]
    found = picture(Image.open(io.BytesIO(image)), row["truth"], row["boxes"], row["box_scores"])
    assert (found["width"], found["height"]) == (SIDE, SIDE / 4)
    assert found["truth"] == [{"x": 36.0, "y": 9.0, "width": 144.0, "height": 36.0}]
    assert found["boxes"][0]["label"] == "0.90"


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], []),
        ([(50, 50, 40, 40)], [(53, 46)]),  # above
        ([(50, 2, 40, 40)], [(53, 55)]),  # no room above: below
        ([(50, 50, 40, 40), (52, 52, 40, 40)], [(53, 46), (55, 105)]),  # the first is in the way
        ([(0, 0, 100, 100)], [(3, 14)]),  # neither above nor below: inside
        ([(-20, 50, 40, 40)], [(2, 46)]),  # not off the picture
    ],
)
def test_labels_do_not_overlap(
    boxes: list[tuple[float, ...]], expected: list[tuple[float, float]]
) -> None:
    rows = [dict(zip(("x", "y", "width", "height"), box, strict=True)) for box in boxes]
    assert label_positions(rows, 100, 110 if expected != [(3, 14)] else 100) == expected
