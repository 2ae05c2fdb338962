import numpy as np
import pytest

from core.embedding.records import ImageRecords, ragged_boxes
from core.predictions import table
from core.predictions.columns import prediction_columns
from schema.labels import LOCATE

A, B = [0.1, 0.1, 0.5, 0.5], [0.2, 0.3, 0.4, 0.9]


def records(*boxes):
    n = len(boxes)
    texts = {name: np.array([f"{name}{i}" for i in range(n)]) for name in ("sha256", "filename")}
    return ImageRecords(
        **texts,
        patient_id=np.array([f"p{i}" for i in range(n)]),
        pathogen=np.array(["unknown" if len(rows) else "other" for rows in boxes]),
        source=np.full(n, "made"),
        height=np.full(n, 10),
        width=np.full(n, 10),
        brightness=np.full(n, 100, np.float32),
        boxes=ragged_boxes(boxes),
    )


def answers(n, **boxes):
    return {
        "score": np.full(n, 0.5),
        "probabilities": np.full((n, 2), 0.5),
        "raw": np.full((n, 2), 0.5),
        "members": np.full((n, 2), 0.5),
        **boxes,
    }


FORMS = {
    "lists of boxes": ([np.array([A, B]), np.zeros((0, 4))], [np.array([0.3, 0.8]), np.zeros(0)]),
    "lists of numbers": ([[*A, *B], []], [[0.3, 0.8], []]),
    "filled up": (
        np.array([[A, B, [0] * 4], [[0] * 4] * 3]).reshape(2, 12),
        np.array([[0.3, 0.8, -1], [-1, -1, -1]]),
    ),
}


@pytest.mark.parametrize(("boxes", "scores"), FORMS.values(), ids=FORMS)
def test_boxes_in_any_form_are_stored_best_first(boxes, scores, tmp_path):
    given = prediction_columns(records([A], []), LOCATE, answers(2, boxes=boxes, box_scores=scores))
    table.write(tmp_path / table.FILE, iter([given]))
    found = table.read(tmp_path / table.FILE).to_pydict()
    assert found["truth_boxes"] == [pytest.approx(A), []]
    assert found["boxes"] == [pytest.approx([*B, *A]), []]
    assert found["box_scores"] == [pytest.approx([0.8, 0.3]), []]
    assert (found["label"], found["positive"]) == ([1, 0], [1, 0])


def test_a_model_without_boxes_leaves_them_empty():
    given = prediction_columns(records([A, B], []), LOCATE, answers(2))
    assert given["truth_boxes"] == [pytest.approx([*A, *B]), []]
    assert given["boxes"] == given["box_scores"] == [[], []]


@pytest.mark.parametrize(
    ("boxes", "scores", "line"),
    [
        ([A], [[0.5]], "1 sets of boxes for 2 images"),
        ([A, A], [[0.5], [0.5, 0.4]], "1 boxes and 2 scores"),
    ],
)
def test_boxes_that_do_not_fit_are_refused(boxes, scores, line):
    with pytest.raises(ValueError, match=line):
        prediction_columns(records([A], []), LOCATE, answers(2, boxes=boxes, box_scores=scores))
