"""Heat maps in the report: what is asked, how it is measured, what is drawn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from core.metrics.boxes.challenge import challenge_score
from core.metrics.registry import HEAT
from core.predictions.predictions import SplitPredictions
from core.reporting.report.collect import read_heat_maps
from core.reporting.report.data import ReportData
from core.reporting.report.example_images import correct
from core.reporting.report.heat_maps import (
    HeatMaps,
    Localization,
    heat_map_section,
    localization_statistics,
    needs_localization,
    run_explainer,
)
from schema import features as f
from tests.support import records
from tests.support.images.synthetic import FORMS, encode, gray
from tests.support.predictions import synthetic_predictions

MARK = np.array([[0.2, 0.2, 0.6, 0.6]])


def given(n: int = 40) -> SplitPredictions:
    """SplitPredictions whose pneumonias are marked, but for the first."""
    found = synthetic_predictions(n, 0, skill=1.0)
    truth = np.empty(n, object)
    marked = np.flatnonzero(found.positive == 1)[1:]
    for i in range(n):
        truth[i] = MARK if i in marked else np.zeros((0, 4))
    return replace(found, truth_boxes=truth)


def localization(y: float = 0.3, x: float = 0.3, shown: bool = True) -> Localization:
    heat = np.zeros((4, 4), np.float32)
    heat[int(4 * y), int(4 * x)] = 0.8
    content = encode(Image.fromarray(gray()), "JPEG")
    boxes = np.array([[y - 0.1, x - 0.1, y + 0.3, x + 0.3]])
    picture = (heat, content) if shown else (None, b"")
    return Localization(np.array([y, x]), boxes, np.array([0.7]), *picture)


class Explain:
    """A signature `explain` that answers by the number in the first pixel of a PNG."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        numbers = [int(tf.io.decode_png(one)[0, 0, 0]) for one in image_bytes]
        n = len(numbers)
        self.batches.append(n)
        heat = np.zeros((n, 2, 4), np.float32)
        boxes, scores = np.zeros((n, 3, 4), np.float32), np.full((n, 3), -1, np.float32)
        for i, number in enumerate(numbers):
            heat[i, 1, number % 4] = 0.5
            boxes[i, 0], scores[i, 0] = [10, 20, 30, 80], 0.4
        status = [b"OK" if number else b"DAMAGED" for number in numbers]
        return {
            "heatmap": tf.constant(heat),
            "boxes": tf.constant(boxes),
            "box_scores": tf.constant(scores),
            "status": tf.constant(status),
            "image_height": tf.fill([n], tf.constant(40, tf.int64)),
            "image_width": tf.fill([n], tf.constant(80, tf.int64)),
        }


def written(folder: Path, rows: list[dict[str, Any]]) -> str:
    file = str(folder / "records.gz")
    with tf.io.TFRecordWriter(file, "GZIP") as out:
        for row in rows:
            out.write(records.example(row))
    return file


def test_explainer_runs_in_batches(tmp_path: Path) -> None:
    images = (encode(Image.fromarray(np.full((40, 80), i, np.uint8)), "PNG") for i in range(60))
    rows = [records.values(image, "virus", f"p-{i}") for i, image in enumerate(images)]
    file = written(tmp_path, rows)
    ids = [row[f.IMAGE_SHA256] for row in rows]
    explain = Explain()
    found = run_explainer(explain, [file], set(ids[:3]), set(ids[2:40]))
    assert explain.batches == [16, 16, 8]  # 40 of 60, and the rest is not read
    assert set(found) == set(ids[1:40])  # the first is rejected
    assert {name for name, one in found.items() if one.heat is not None} == set(ids[1:3])
    one = found[ids[2]]
    np.testing.assert_allclose(one.boxes, [[0.25, 0.25, 0.75, 1.0]])
    np.testing.assert_allclose(one.scores, [0.4], rtol=1e-6)
    np.testing.assert_allclose(one.peak, [0.75, 0.625])
    assert one.content == rows[2][f.IMAGE_ENCODED]
    assert run_explainer(explain, [file], set(), set()) == {}


def test_localization_statistics_by_hand() -> None:
    truth = [MARK, np.array([[0.0, 0.0, 0.2, 0.2], [0.5, 0.5, 1.0, 1.0]]), np.zeros((0, 4)), MARK]
    none = Localization(np.full(2, np.nan), np.zeros((0, 4)), np.zeros(0))
    half = Localization(np.array([0.9, 0.9]), np.array([[0.5, 0.5, 1.0, 0.75]]), np.array([0.6]))
    places = [Localization(np.array([0.5, 0.5]), MARK, np.ones(1)), half, none, none]
    statistics, shares = localization_statistics(truth, places)
    found = {name: value[0] for name, value in statistics(np.ones((1, 4))).items()}
    assert found["pointing"] == pytest.approx(2 / 3)
    assert found["iou"] == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    boxes, scores = [one.boxes for one in places], [one.scores for one in places]
    assert found["challenge"] == pytest.approx(challenge_score(truth, boxes, scores))
    assert found["box_sensitivity"] == pytest.approx(2 / 4)
    assert shares["pointing"].tolist() == [True, True, False, True]
    # An image that counts twice.
    twice = {name: value[0] for name, value in statistics(np.array([[1.0, 2, 1, 1]])).items()}
    assert twice["pointing"] == pytest.approx(3 / 4)
    assert twice["iou"] == pytest.approx((1 + 2 * 0.5) / 6)


def test_section() -> None:
    predictions = given()
    measured = needs_localization(predictions)
    marked = np.array([len(boxes) > 0 for boxes in predictions.truth_boxes])
    np.testing.assert_array_equal(measured, marked | (predictions.predicted_positive == 1))
    heat = HeatMaps(
        {"kind": "weak"}, {name: localization() for name in predictions.sha256[measured].tolist()}
    )
    found = heat_map_section(predictions, heat, 50, 0)
    assert found is not None
    assert found["counts"]["images"] == found["counts"]["opacities"] == marked.sum()
    assert found["metrics"]["pointing"]["estimate"] == 1.0
    assert found["metrics"]["pointing"]["low"] < 1.0  # exact bounds, and no certainty
    assert found["metrics"]["iou"]["estimate"] == pytest.approx(1.0)
    low, high = (found["metrics"]["challenge"][end] for end in ("low", "high"))
    assert low <= found["metrics"]["challenge"]["estimate"] <= high
    assert heat_map_section(predictions, None, 50, 0) is None
    # Nobody marked anything: pictures, and no number.
    assert not needs_localization(synthetic_predictions(40, 0)).any()
    without = heat_map_section(synthetic_predictions(40, 0), heat, 50, 0)
    assert without is not None
    assert "metrics" not in without


def page(
    render: Any, predictions: SplitPredictions, heat: HeatMaps | None
) -> tuple[str, dict[str, Any]]:
    return render(ReportData(name="heat", resamples=20, predictions=predictions, heat_maps=heat))


def test_page_shows_heat_maps_and_boxes(render: Any) -> None:
    predictions = given()
    heat = HeatMaps(
        {"kind": "weak", "threshold": 0.45, "chosen": {"images": 12, "note": ""}},
        {name: localization() for name in predictions.sha256.tolist()},
    )
    text, numbers = page(render, predictions, heat)
    shown = numbers["mistakes"] | numbers["explain"]["right"]
    section = text[text.index("Heat maps</h2>") :]
    assert section.count("Chest X-ray with heat map") == sum(map(len, shown.values()))
    assert "highest value at the upper left of the picture" in section
    assert section.count('class="truth"') > 1  # more than the legend's
    metrics = numbers["explain"]["metrics"]
    for part in ("12 validation images", "0.45", *(f"{metrics[n]['estimate']:.3f}" for n in HEAT)):
        assert part in section


@pytest.mark.parametrize("value", [0.0, 0.2, 1.0])
def test_a_map_of_one_cell_is_left_out(value: float, render: Any) -> None:
    predictions = given()
    one = replace(localization(), heat=np.full((1, 1), value, np.float32))
    heat = HeatMaps({"kind": "weak"}, dict.fromkeys(predictions.sha256.tolist(), one))
    text, numbers = page(render, predictions, heat)
    assert numbers["explain"] == {"one_cell": True}
    section = text[text.index("Heat maps</h2>") :]
    assert "has one cell" in section
    for contradiction in ("highest value", "no region", "Chest X-ray with heat map", "weak"):
        assert contradiction not in section


def test_unreadable_image_is_left_out(render: Any) -> None:
    predictions = given()
    broken = replace(localization(), content=b"no image")
    nowhere = replace(
        localization(),
        peak=np.full(2, np.nan),
        boxes=np.zeros((0, 4)),
        scores=np.zeros(0),
        content=FORMS["png_16bit"](),
    )
    first, second = (row["sha256"] for row in correct(predictions)["found"][:2])
    for heat, pictures in (
        (HeatMaps({}, {first: broken, second: nowhere}), 1),
        (HeatMaps(), 0),
        (None, 0),
    ):
        text, numbers = page(render, predictions, heat)
        assert ("explain" in numbers) == ("Heat maps</h2>" in text) == (heat is not None)
        assert text.count("Chest X-ray with heat map") == pictures
        assert ("no region above the heat-map threshold" in text) == bool(pictures)


def test_exported_model(small_model: Path, tmp_path: Path) -> None:
    """As the Trainer leaves it; without a model there are no heat maps."""
    content = encode(Image.fromarray(gray()), "JPEG")
    rows = [records.values(content, "virus", f"p-{i}") for i in range(6)]
    file = written(tmp_path, rows)
    predictions = replace(given(6), sha256=np.array([row[f.IMAGE_SHA256] for row in rows]))
    found = read_heat_maps(small_model / "1", predictions, [file])
    assert found is not None
    assert found.localizations
    assert all(one.heat is None or one.heat.max() <= 1 for one in found.localizations.values())
    assert read_heat_maps(None, predictions, [file]) is None
