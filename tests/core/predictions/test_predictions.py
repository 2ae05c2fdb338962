from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.predictions import table
from core.predictions.metrics import class_intervals, score_intervals
from core.predictions.predictions import read_predictions, read_scorer_output
from schema.errors import PneumoError
from schema.labels import BINARY, THREE_CLASS, Task
from tests.support.boxes import synthetic_box_predictions
from tests.support.predictions import BOXES, synthetic_predictions, write_scorer_output


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS], ids=lambda task: task.name)
def test_stored_predictions_are_read_back(task: Task, tmp_path: Path) -> None:
    predictions = synthetic_predictions(40, task=task, members=3, band=(0.4, 0.6))
    write_scorer_output(predictions, tmp_path)
    found = read_scorer_output(tmp_path)
    assert found is not None
    order = np.argsort(predictions.filename)  # rows come back by file name
    for name in ("sha256", "patient", "label", "positive", "height"):
        assert (getattr(found, name) == getattr(predictions, name)[order]).all()
    for name in ("score", "probabilities", "raw", "members", "brightness"):
        assert getattr(found, name) == pytest.approx(getattr(predictions, name)[order], rel=1e-6)
    assert found.members.shape == (40, 3, len(task.classes))
    assert (found.task, found.threshold, found.band) == (task, predictions.threshold, (0.4, 0.6))
    assert read_scorer_output(tmp_path, table.BASELINE) is None


def test_no_rows_keep_their_shape(tmp_path: Path) -> None:
    write_scorer_output(synthetic_predictions(0, task=THREE_CLASS), tmp_path)
    found = read_scorer_output(tmp_path)
    assert found.probabilities.shape == (0, 3)
    assert len(found.decision) == len(found.predicted_label) == 0
    assert score_intervals(found, 100, 0) == class_intervals(found, 100, 0) == {}


def test_answers_of_another_task_are_refused(tmp_path: Path) -> None:
    write_scorer_output(synthetic_predictions(5, task=THREE_CLASS), tmp_path)
    facts = {"task": BINARY.to_dict(), "threshold": 0.5, "temperature": 1.0}
    with pytest.raises(PneumoError, match="2 classes of task 'binary'"):
        read_predictions(tmp_path / table.FILE, facts)


def test_held_out_images_of_shifted_validation(tmp_path: Path) -> None:
    write_scorer_output(synthetic_predictions(6), tmp_path)
    rows = table.read(tmp_path / table.FILE).to_pydict()
    rows |= {"fold": [0, 0, 0, 1, 1, 1], "held_out": [True, False, True, False, False, True]}
    table.write(tmp_path / table.SHIFTED, iter([rows]), folds=True)
    facts = {"task": BINARY.to_dict(), "threshold": 0.5, "temperature": 1.0}
    found = read_predictions(tmp_path / table.SHIFTED, facts, held_out=True)
    assert found.filename.tolist() == [rows["filename"][i] for i in (0, 2, 5)]
    assert len(read_predictions(tmp_path / table.SHIFTED, facts)) == 6


def test_decisions_and_subsets() -> None:
    predictions = synthetic_predictions(60, task=THREE_CLASS, band=(0.3, 0.7), unknown=True)
    assert set(predictions.decision.tolist()) <= {-1, 0, 1}
    assert set(predictions.predicted_positive.tolist()) == {0, 1}
    referred = predictions.decision == -1
    assert ((predictions.score[referred] >= 0.3) & (predictions.score[referred] < 0.7)).all()
    assert ((predictions.predicted_label > 0) == (predictions.predicted_positive == 1)).all()
    partial = predictions.pathogen == "unknown"
    assert partial.any()
    assert len(predictions.with_binary_label()) == 60  # pneumonia it is, whatever the pathogen
    assert len(predictions.with_class_label()) == 60 - partial.sum()
    assert predictions.pair == (1, 2)
    found = class_intervals(predictions, 100, 0)
    right = (predictions.predicted_label == predictions.label)[~partial].mean()
    assert found["class_accuracy"].estimate == pytest.approx(right)
    assert found["pairwise_auc"] == found["auc/BACTERIA|VIRUS"]
    right = (predictions.predicted_positive == predictions.positive).mean()
    assert score_intervals(predictions, 100, 0)["accuracy"].estimate == pytest.approx(right)


def test_boxes_come_back_and_go_with_their_image(tmp_path: Path) -> None:
    predictions = synthetic_box_predictions(20)
    write_scorer_output(predictions, tmp_path)
    found = read_scorer_output(tmp_path)
    assert found.box_threshold == predictions.box_threshold
    assert found.predicts_boxes
    for name in BOXES:
        for one, two in zip(getattr(found, name), getattr(predictions, name), strict=True):
            assert one == pytest.approx(two, abs=1e-6)
            assert one.shape == two.shape
    some = found.where(found.positive == 1)
    assert [len(rows) for rows in some.truth_boxes] == [
        len(rows) for rows in found.truth_boxes if len(rows)
    ]
    boxes, scores = found.shown_boxes()
    for i in range(len(found)):
        assert (scores[i] >= predictions.box_threshold).all()
        assert len(boxes[i]) == (found.box_scores[i] >= predictions.box_threshold).sum()


def test_weak_boxes_of_a_classifier_are_not_its_answer(tmp_path: Path) -> None:
    write_scorer_output(synthetic_predictions(6), tmp_path)
    facts = {"task": BINARY.to_dict(), "threshold": 0.5, "temperature": 1.0}
    facts["boxes"] = {"kind": "weak", "threshold": 0.5}
    assert not read_predictions(tmp_path / table.FILE, facts).predicts_boxes


def test_boxes_of_another_number_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="boxes has 3 images, not 6"):
        replace(synthetic_predictions(6), boxes=np.empty(3, object))
