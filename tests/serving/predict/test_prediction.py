import pytest

from core.images.rules import CONTENT_STATUSES, STATUS_MESSAGES
from serving.predict.prediction import to_prediction

ROW = {
    "probabilities": [0.1, 0.9],
    "score": 0.9,
    "decision": "POSITIVE",
    "predicted_class": "B",
    "classes": ["A", "B"],
    "status": "OK",
    "heatmap": [[0.5]],
    "image_height": 6,
    "image_width": 8,
    "boxes": [[0.0, 1.0, 2.0, 3.0], [0.0] * 4],
    "box_scores": [0.6, -1.0],
}


def test_a_row_of_explain_is_parsed() -> None:
    found = to_prediction("a", ROW)
    assert (found.boxes, found.box_scores) == ([[0.0, 1.0, 2.0, 3.0]], [0.6])
    assert (found.heatmap, found.height, found.width) == ([[0.5]], 6, 8)
    fields = found.to_dict()
    assert fields["boxes"] == [[0.0, 1.0, 2.0, 3.0]]
    assert "heatmap" not in fields  # an image, not part of a table
    none = to_prediction("a", {**ROW, "box_scores": [-1.0, -1.0]})
    assert none.to_dict()["boxes"] == []  # looked for, and not found
    plain = to_prediction("a", {key: ROW[key] for key in list(ROW)[:6]})
    assert plain.boxes is plain.heatmap is plain.height is None
    assert "boxes" not in plain.to_dict()


@pytest.mark.parametrize("status", CONTENT_STATUSES)
def test_an_image_that_is_no_radiograph_is_referred_without_a_score(status: str) -> None:
    row = {**ROW, "score": -1.0, "decision": "REFER", "predicted_class": "", "status": status}
    found = to_prediction("a", row)
    assert found.to_dict() == {
        "file": "a",
        "decision": "REFER",
        "abstained": True,
        "status": status,
    }
    assert found.reason == STATUS_MESSAGES[status]
    assert (found.score, found.error, found.boxes, found.heatmap) == (None, "", None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": [[0.0, 1.0, float("nan"), 3.0], [0.0] * 4]},
        {"boxes": [[0.0, 1.0]]},
        {"boxes": [[0.0, 1.0], [0.0, 1.0]]},
        {"boxes": 5},
        {"heatmap": [[float("inf")]]},
        {"heatmap": [0.5]},
    ],
)
def test_an_invalid_row_is_an_error(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"box|model of this project|finite|argument"):
        to_prediction("a", {**ROW, **change})
