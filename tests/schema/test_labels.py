import json

import pytest

from schema import labels
from schema.labels import PATHOGENS, TASKS, Task, custom_task


@pytest.mark.parametrize("name", TASKS)
def test_shipped_tasks_are_valid(name: str) -> None:
    task = labels.get_task(name)
    assert task.name == name
    assert set(task.compatible) <= set(PATHOGENS)
    classes = {
        i for name in PATHOGENS for boxes in (0, 1) for i in task.compatible_classes(name, boxes)
    }
    assert classes == set(range(len(task.classes)))
    assert task.positive
    assert set(task.positive) | set(task.negative) == set(range(len(task.classes)))
    assert task.negative
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task


@pytest.mark.parametrize(
    ("name", "pathogen", "label", "positive"),
    [
        ("binary", "normal", 0, 0),
        ("binary", "unknown", 1, 1),
        ("binary", "other", 0, 0),
        ("three_class", "virus", 2, 1),
        ("three_class", "other", -1, -1),
        ("three_class", "unknown", -1, 1),
        ("two_stage", "unknown", -1, 1),
        ("bacteria_virus", "bacteria", 1, 1),
        ("bacteria_virus", "virus", 0, 0),
        ("bacteria_virus", "normal", -1, -1),
        ("bacteria_virus", "unknown", -1, -1),
        ("binary", "no such pathogen", -1, -1),
    ],
)
def test_labels(name: str, pathogen: str, label: int, positive: int) -> None:
    task = labels.get_task(name)
    for boxes in (0, 2):  # these tasks use the pathogen alone
        assert task.class_of(pathogen, boxes) == label
        assert task.binary_label(pathogen, boxes) == positive


@pytest.mark.parametrize("pathogen", [*PATHOGENS, ""])
@pytest.mark.parametrize(("boxes", "label"), [(0, 0), (1, 1), (4, 1)])
def test_located_task_uses_boxes_alone(pathogen: str, boxes: int, label: int) -> None:
    task = labels.get_task("locate")
    assert task.binary_label(pathogen, boxes) == task.class_of(pathogen, boxes) == label


def test_custom_task_excludes_and_merges_pathogens() -> None:
    task = custom_task({"REST": ["normal", "virus"], "BACTERIA": ["bacteria"]}, ["BACTERIA"])
    assert [task.class_of(name, 0) for name in PATHOGENS] == [0, 1, 0, -1, -1]
    assert [task.binary_label(name, 0) for name in PATHOGENS] == [0, 1, 0, -1, -1]


def test_pathogen_in_two_classes_is_a_partial_label() -> None:
    classes = {"N": ["normal"], "B": ["bacteria", "unknown"], "V": ["virus", "unknown"]}
    task = custom_task(classes, ["B"])
    assert task.compatible["unknown"] == (1, 2)
    assert task.class_of("unknown", 0) == -1
    assert task.binary_label("unknown", 0) == -1  # B is positive, V is not


@pytest.mark.parametrize(
    ("classes", "positive", "message"),
    [
        ({}, [], "at least two classes"),
        ({"A": ["normal"]}, ["A"], "at least two classes"),
        ({"A": ["normal"], "B": ["flu"]}, ["B"], "names 'flu'"),
        ({"A": ["normal"], "B": []}, ["B"], "no pathogen that belongs to it alone"),
        ({"A": ["normal"], "B": ["normal"]}, ["B"], "no pathogen that belongs to it alone"),
        ({"A": ["normal"], "B": ["virus"]}, ["C"], "'C' is not one of A, B"),
        ({"A": ["normal"], "B": ["virus"]}, [], "at least one class must be positive"),
        ({"A": ["normal"], "B": ["virus"]}, ["A", "B"], "at least one class must be positive"),
    ],
)
def test_invalid_mappings_are_rejected(
    classes: dict[str, list[str]], positive: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        custom_task(classes, positive)
    with pytest.raises(ValueError, match="bacteria_virus, binary, locate, three_class, two_stage"):
        labels.get_task("lungs")
