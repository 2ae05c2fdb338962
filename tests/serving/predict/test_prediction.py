import pytest

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
