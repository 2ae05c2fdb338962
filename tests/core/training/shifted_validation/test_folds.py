from typing import Any

import numpy as np
import pytest

from core.embedding.records import ImageRecords
from core.metrics.options import EvaluationOptions, ShiftedValidationOptions
from core.training.shifted_validation.folds import Fold, shifted_folds
from schema.labels import BINARY, LOCATE, THREE_CLASS, Task

Row = tuple[str, str, str]  # patient, source, pathogen


def records(rows: list[Row]) -> ImageRecords:
    patient, source, pathogen = (np.array(column, str) for column in zip(*rows, strict=True))
    n = len(rows)
    names = np.array([f"i{i}" for i in range(n)])
    size, brightness = np.full(n, 32), np.zeros(n, np.float32)
    return ImageRecords(names, names, patient, pathogen, source, size, size, brightness)


def group(count: int, source: str, pathogen: str, first: int = 0) -> list[Row]:
    return [(f"{source}-{pathogen}-{first + i}", source, pathogen) for i in range(count)]


# Like the paediatric set: normals of two batches, pneumonia of a third one.
TRAIN = group(60, "IM", "normal") + group(50, "NORMAL2", "normal") + group(99, "person", "virus")
VAL = [
    *group(15, "IM", "normal", 900),
    *group(12, "NORMAL2", "normal", 900),
    *group(25, "person", "virus", 900),
]


def folds_of(train: list[Row], val: list[Row], task: Task = BINARY, **options: Any) -> Any:
    return shifted_folds(records(train), records(val), task, ShiftedValidationOptions(**options))


def reasons(skipped: list[Any]) -> dict[str, str]:
    return {one.name: one.reason for one in skipped}


def test_normals_of_two_batches_give_two_folds() -> None:
    folds, skipped = folds_of(TRAIN, VAL)
    assert [fold.name for fold in folds] == ["NORMAL of IM", "NORMAL of NORMAL2"]
    first: Fold = folds[0]
    assert (first.side, first.held_out) == (0, 75)
    np.testing.assert_array_equal(first.train_held_out, np.arange(60))
    np.testing.assert_array_equal(first.val_held_out, np.arange(15))
    np.testing.assert_array_equal(first.train_rows, np.arange(60, 209))
    np.testing.assert_array_equal(first.val_rows, np.arange(15, 52))
    np.testing.assert_array_equal(first.other_side, np.arange(27, 52))
    assert reasons(skipped) == {
        "PNEUMONIA of person": "0 of 99 training images of PNEUMONIA would remain, fewer than 20"
    }


def test_no_image_of_a_held_out_patient_remains() -> None:
    # Patients of IM have images of the other batch and of the other side too.
    train = [*TRAIN, ("IM-normal-0", "NORMAL2", "normal"), ("IM-normal-901", "person", "virus")]
    val = [*VAL, ("IM-normal-902", "NORMAL2", "normal"), ("IM-normal-3", "person", "virus")]
    (first, second), _ = folds_of(train, val)
    assert (first.held_out, second.held_out) == (75, 64)
    for fold in (first, second):
        held_out = {train[i][0] for i in fold.train_held_out} | {
            val[i][0] for i in fold.val_held_out
        }
        assert not held_out & {train[i][0] for i in fold.train_rows}
        assert not held_out & {val[i][0] for i in fold.val_rows}
        assert {val[i][2] for i in fold.other_side} == {"virus"}
    assert 209 not in first.train_rows
    assert 210 not in first.train_rows
    assert 209 in second.train_held_out
    # The other side is scored whole, as in ordinary validation.
    assert 53 in first.other_side


@pytest.mark.parametrize(
    "train, val, task, name, reason",
    [
        (
            [*TRAIN, *group(3, "other", "normal")],
            VAL,
            BINARY,
            "NORMAL of other",
            "3 images are fewer than 20",
        ),
        (
            TRAIN,
            [*VAL, *group(30, "new", "normal")],
            BINARY,
            "NORMAL of new",
            "training has no such image, so nothing can be held out from it",
        ),
        (
            TRAIN,
            VAL[:40],
            BINARY,
            "NORMAL of IM",
            "validation has 13 positive images, fewer than 20",
        ),
        (
            TRAIN,
            [*VAL[:15], *VAL[18:]],
            BINARY,
            "NORMAL of IM",
            "9 negative validation images would remain, fewer than 10",
        ),
        (
            [*TRAIN[:60], *TRAIN[90:]],
            VAL,
            BINARY,
            "NORMAL of NORMAL2",
            "",
        ),
        (
            group(900, "IM", "normal") + TRAIN[60:],
            VAL,
            BINARY,
            "NORMAL of IM",
            "50 of 950 training images of NORMAL would remain, fewer than 95",
        ),
        (
            [*TRAIN, *group(40, "other", "bacteria")],
            VAL,
            THREE_CLASS,
            "BACTERIA or VIRUS of other",
            "0 of 40 training images of BACTERIA would remain, fewer than 20",
        ),
    ],
)
def test_small_folds_are_skipped_with_a_reason(
    train: list[Row], val: list[Row], task: Task, name: str, reason: str
) -> None:
    folds, skipped = folds_of(train, val, task)
    assert reasons(skipped).get(name, "") == reason
    assert (name in [fold.name for fold in folds]) == (not reason)


def test_only_the_largest_folds_are_used() -> None:
    folds, skipped = folds_of(TRAIN, VAL, max_folds=1)
    assert [fold.name for fold in folds] == ["NORMAL of IM"]
    assert reasons(skipped)["NORMAL of NORMAL2"] == "only the 1 largest folds are used (max_folds)"


def test_a_single_group_has_no_fold() -> None:
    folds, skipped = folds_of(group(80, "other", "normal"), group(30, "other", "virus"))
    assert not folds
    assert len(skipped) == 2


def test_detection_tasks_have_no_shifted_validation() -> None:
    options = EvaluationOptions(shifted_validation={"by": "source"})
    options.check_task(BINARY)
    with pytest.raises(ValueError, match=r"shifted_validation is for classification tasks"):
        options.check_task(LOCATE)
