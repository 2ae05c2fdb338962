import numpy as np
import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from core.reporting.report.slices import slices, thirds
from schema.labels import BACTERIA_VIRUS, THREE_CLASS
from tests.support.predictions import synthetic_predictions


@given_(st.lists(st.integers(0, 8), max_size=40))
def test_thirds_contain_each_image_once(values: list[int]) -> None:
    row = np.array(values, float)
    found = thirds(row, "unit")
    assert len(found) <= 3
    masks = np.array([mask for _, mask in found]).reshape(len(found), len(values))
    assert (masks.sum(axis=0) == 1).all()
    assert masks.any(axis=1).all()
    highest = [row[mask].max() for mask in masks]
    lowest = [row[mask].min() for mask in masks]
    assert all(a < b for a, b in zip(highest, lowest[1:], strict=False))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([], []),
        ([5.0], ["5.00 mp"]),
        ([224.0] * 6, ["224 mp"]),
        ([*range(20, 50)], ["20 to 29 mp", "30 to 39 mp", "40 to 49 mp"]),
        ([1, 2, 3, 4, 5, 6], ["1.00 to 2.00 mp", "3.00 to 4.00 mp", "5.00 to 6.00 mp"]),
        ([0.0502, 0.0502, 0.0502, 0.07], ["0.050 to 0.070 mp"]),
    ],
)
def test_names_of_thirds(values: list[float], names: list[str]) -> None:
    assert [name for name, _ in thirds(np.array(values), "mp")] == names


def test_metrics_of_a_slice() -> None:
    given = synthetic_predictions(120, task=THREE_CLASS, unknown=True)
    found = slices(given, 100, 0)
    for feature in ("pathogen", "source", "image size", "brightness"):
        assert sum(row["images"] for row in found if row["feature"] == feature) == 120
    rows = {row["value"]: row for row in found}
    part = given.where(given.pathogen == "virus")
    metrics = rows["virus"]["metrics"]
    assert metrics["sensitivity"]["estimate"] == pytest.approx(
        (part.predicted_positive == 1).mean()
    )
    assert metrics["class_accuracy"]["estimate"] == pytest.approx(
        (part.predicted_label == 2).mean()
    )
    assert np.isnan(metrics["specificity"]["estimate"])
    assert rows["virus"]["images"] == len(part)
    assert rows["virus"]["patients"] == len(set(part.patient))
    two = synthetic_predictions(40, task=BACTERIA_VIRUS)
    assert all("class_accuracy" not in row["metrics"] for row in slices(two, 100, 0))
    assert slices(two.where(np.zeros(40, bool)), 100, 0) == []
