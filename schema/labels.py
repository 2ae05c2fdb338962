"""Pathogens of a record, and the classification tasks whose labels are derived from them.

Records do not store the label of a task, so one set of records serves every task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from schema.errors import unknown

NORMAL: Final = "normal"
BACTERIA: Final = "bacteria"
VIRUS: Final = "virus"
UNKNOWN: Final = "unknown"  # pneumonia of unspecified pathogen
OTHER: Final = "other"  # abnormal, but not pneumonia

PATHOGENS: Final = (NORMAL, BACTERIA, VIRUS, UNKNOWN, OTHER)


@dataclass(frozen=True)
class Task:
    """A classification task over pathogens.

    Attributes:
      name: name in the configuration.
      classes: class names in the order of the model's output.
      compatible: pathogen -> indices of its possible classes. One index is an ordinary label.
        Several are a partial label: pneumonia of unknown pathogen is bacteria or virus, and the
        training loss uses exactly that. Records whose pathogen is missing here are excluded.
      positive: indices of the positive classes; their summed probability is the score of the task,
        to which the operating point applies.
      two_stage: the network predicts "positive or not" and "which positive class" and multiplies
        both; otherwise it has one softmax over all classes.
      located: the class comes from the boxes and not from the pathogen: the first positive class
        if the record has a box, otherwise the first negative one. The model predicts boxes too.
    """

    name: str
    classes: tuple[str, ...]
    compatible: dict[str, tuple[int, ...]]
    positive: tuple[int, ...]
    two_stage: bool = False
    located: bool = False

    @property
    def negative(self) -> tuple[int, ...]:
        """Indices of the classes that are not positive."""
        return tuple(i for i in range(len(self.classes)) if i not in self.positive)

    def compatible_classes(self, pathogen: str, boxes: int) -> tuple[int, ...]:
        """Returns the indices of the possible classes of a record; empty if it is excluded.

        Args:
          pathogen: one of `PATHOGENS`.
          boxes: number of boxes in the record; used by located tasks only.
        """
        if self.located:
            return (self.positive if boxes > 0 else self.negative)[:1]
        return self.compatible.get(pathogen, ())

    def class_of(self, pathogen: str, boxes: int) -> int:
        """Returns the index of the class of a record; -1 if there is none or more than one."""
        classes = self.compatible_classes(pathogen, boxes)
        return classes[0] if len(classes) == 1 else -1

    def binary_label(self, pathogen: str, boxes: int) -> int:
        """Returns 1 or 0 if all possible classes of a record are positive or negative, else -1."""
        labels = {int(i in self.positive) for i in self.compatible_classes(pathogen, boxes)}
        return labels.pop() if len(labels) == 1 else -1

    def to_dict(self) -> dict[str, Any]:
        """Returns built-in types for JSON; see `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the task that `to_dict` converted."""
        return cls(
            name=values["name"],
            classes=tuple(values["classes"]),
            compatible={name: tuple(ids) for name, ids in values["compatible"].items()},
            positive=tuple(values["positive"]),
            two_stage=bool(values["two_stage"]),
            located=bool(values.get("located", False)),  # missing in models older than boxes
        )


BINARY: Final = Task(
    name="binary",
    classes=("NORMAL", "PNEUMONIA"),
    compatible={NORMAL: (0,), OTHER: (0,), BACTERIA: (1,), VIRUS: (1,), UNKNOWN: (1,)},
    positive=(1,),
)
_THREE: Final = ("NORMAL", "BACTERIA", "VIRUS")
_THREE_COMPATIBLE: Final = {NORMAL: (0,), BACTERIA: (1,), VIRUS: (2,), UNKNOWN: (1, 2)}
THREE_CLASS: Final = Task("three_class", _THREE, _THREE_COMPATIBLE, positive=(1, 2))
TWO_STAGE: Final = Task("two_stage", _THREE, _THREE_COMPATIBLE, positive=(1, 2), two_stage=True)
BACTERIA_VIRUS: Final = Task(
    name="bacteria_virus",
    classes=("VIRUS", "BACTERIA"),
    compatible={VIRUS: (0,), BACTERIA: (1,)},
    positive=(1,),
)

LOCATE: Final = Task(
    name="locate",
    classes=("NO OPACITY", "OPACITY"),
    compatible={},
    positive=(1,),
    located=True,
)

_SHIPPED: Final = (BINARY, THREE_CLASS, TWO_STAGE, BACTERIA_VIRUS, LOCATE)
TASKS: Final = {task.name: task for task in _SHIPPED}
CUSTOM: Final = "custom"


def custom_task(classes: Mapping[str, Sequence[str]], positive: Sequence[str]) -> Task:
    """Returns a task with the given classes.

    Args:
      classes: class name -> pathogens, in the order of the model's output. A pathogen in
        several classes is a partial label; a pathogen in none is excluded.
      positive: names of the positive classes; at least one, but not all.

    Raises:
      ValueError: fewer than two classes, an unknown pathogen or class, no pathogen that belongs
        to one class alone, no positive class, or no negative class.
    """
    names = tuple(classes)
    if len(names) < 2:
        raise ValueError(f"a task needs at least two classes, not {list(names)}")
    compatible: dict[str, tuple[int, ...]] = {}
    for i, (name, pathogens) in enumerate(classes.items()):
        for pathogen in pathogens:
            if pathogen not in PATHOGENS:
                raise ValueError(
                    f"class {name!r} names {pathogen!r}; choose from {', '.join(PATHOGENS)}"
                )
            compatible[pathogen] = (*compatible.get(pathogen, ()), i)
    labelled = {ids[0] for ids in compatible.values() if len(ids) == 1}
    for i, name in enumerate(names):
        if i not in labelled:
            raise ValueError(f"class {name!r} has no pathogen that belongs to it alone")
    others = [name for name in positive if name not in names]
    if others:
        raise ValueError(f"positive class {others[0]!r} is not one of {', '.join(names)}")
    chosen = tuple(i for i, name in enumerate(names) if name in set(positive))
    if not chosen or len(chosen) == len(names):
        raise ValueError(
            "at least one class must be positive and one negative; list the former in `positive`"
        )
    return Task(CUSTOM, names, compatible, chosen)


def get_task(name: str) -> Task:
    """Returns a shipped task.

    Raises:
      ValueError: unknown name; the message lists the known ones.
    """
    if name not in TASKS:
        raise ValueError(unknown("task", name, sorted(TASKS)))
    return TASKS[name]
