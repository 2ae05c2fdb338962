"""The flow of images adds up, in the numbers and on the diagram."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.predictions.predictions import SplitPredictions
from core.reporting.report.decisions.flow import flow_errors, image_flow
from core.reporting.report.decisions.flow_diagram import flow_diagram
from schema.labels import BACTERIA_VIRUS, BINARY, THREE_CLASS, Task
from tests.support.artificial_run import dataset
from tests.support.predictions import synthetic_predictions

SPLITS = {"train": {"normal": 40, "virus": 7}, "val": {"normal": 10}, "test": {"normal": 60}}


def summary(**changes: Any) -> dict[str, Any]:
    """`dataset.json` of 117 records, 60 of them in the test split."""
    counts = {"found": 131, "written": 117, "rejected": 5, "skipped": {"*.txt": 7, "*.zip": 2}}
    reasons = {"truncated": 3, "not_an_image": 2}
    return dataset(**{**counts, "reasons": reasons, "splits": SPLITS, **changes})


def test_flow_by_hand() -> None:
    test = synthetic_predictions(6, task=BINARY, band=(0.4, 0.6))
    test = replace(
        test,
        score=np.array([0.7, 0.9, 0.5, 0.45, 0.1, 0.2]),
        positive=np.array([1, 0, 1, 0, 1, -1]),
        patient=np.array(list("aabbcd")),
    )
    found = image_flow(summary(splits={**SPLITS, "test": {"normal": 8}}, written=65), test)
    assert found["test"] == {
        "records": 8,
        "not_scored": 2,
        "outside_task": 1,
        "images": 5,
        "patients": 3,
    }
    assert found["decisions"] == [
        {"decision": "POSITIVE", "images": 2, "positives": 1, "negatives": 1},
        {"decision": "REFER", "images": 2, "positives": 1, "negatives": 1},
        {"decision": "NEGATIVE", "images": 1, "positives": 1, "negatives": 0},
    ]
    assert [row["images"] for row in found["development"]] == [47, 10]


def with_outside(predictions: SplitPredictions) -> SplitPredictions:
    outside = np.arange(len(predictions)) % 4 == 0
    return replace(predictions, positive=np.where(outside, -1, predictions.positive))


FLOWS = {
    "binary": (summary(), synthetic_predictions(60)),
    "referral band": (summary(), synthetic_predictions(60, band=(0.3, 0.7))),
    "outside the task": (summary(), with_outside(synthetic_predictions(60, task=BACTERIA_VIRUS))),
    "not scored": (summary(), synthetic_predictions(50, task=THREE_CLASS, band=(0.4, 0.6))),
    "no data set": (None, synthetic_predictions(30)),
    "no splits": (summary(splits={}, patients={}), synthetic_predictions(30)),
    "no files lost": (
        summary(found=117, rejected=0, reasons={}, skipped={}),
        synthetic_predictions(60),
    ),
    "no test image": (summary(), synthetic_predictions(60).where(np.zeros(60, bool))),
}


@pytest.mark.parametrize(("data", "test"), FLOWS.values(), ids=FLOWS)
def test_numbers_add_up(data: dict[str, Any] | None, test: SplitPredictions) -> None:
    flow = image_flow(data, test)
    assert flow_errors(flow) == []
    assert flow["test"]["images"] == len(test.with_binary_label())
    diagram = flow_diagram(flow, ("NORMAL", "PNEUMONIA"))
    text = [" ".join(line["text"] for line in box["lines"]) for box in diagram["boxes"]]
    numbers = [[int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", box)] for box in text]
    decisions = len(flow["decisions"])
    assert sum(box[0] for box in numbers[-2 * decisions : -decisions]) == flow["test"]["images"]
    assert sum(sum(box) for box in numbers[-decisions:]) == flow["test"]["images"]
    assert len(diagram["arrows"]) == len(text) - 1  # each box but the first has one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"found": 132}, "132 files, but 131 accounted for"),
        ({"rejected": 6}, "6 rejected files, but 5 accounted for"),
        ({"written": 118, "found": 132}, "118 records, but 117 accounted for"),
        ({"splits": {**SPLITS, "test": {"normal": 59}}}, "1 predictions without a record"),
    ],
)
def test_numbers_that_do_not_add_up(change: dict[str, Any], message: str) -> None:
    errors = flow_errors(image_flow(summary() | change, synthetic_predictions(60)))
    assert any(message in line for line in errors), errors


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS], ids=lambda task: task.name)
@pytest.mark.parametrize("reasons", [1, 12])
def test_boxes_do_not_overlap_and_hold_their_text(task: Task, reasons: int) -> None:
    many = {f"a_long_reason_of_rejection_{i}": 1 for i in range(reasons)}
    data = summary(rejected=reasons, reasons=many)
    flow = image_flow(data, synthetic_predictions(60, task=task, band=(0.3, 0.7)))
    diagram = flow_diagram(flow, ("NORMAL", "BACTERIA or VIRUS or something else"))
    boxes = diagram["boxes"]
    for i, one in enumerate(boxes):
        assert one["x"] + one["width"] <= diagram["width"]
        assert one["y"] + one["height"] <= diagram["height"]
        assert one["y"] < min(line["y"] for line in one["lines"])
        assert max(line["y"] for line in one["lines"]) < one["y"] + one["height"]
        for other in boxes[:i]:
            apart = (
                one["x"] >= other["x"] + other["width"]
                or other["x"] >= one["x"] + one["width"]
                or one["y"] >= other["y"] + other["height"]
            )
            assert apart, (one, other)
