"""Pathogens that a record may carry, and the tasks whose labels are derived from them.

A record never stores the label of a task: one set of records serves every task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

NORMAL: Final = "normal"
BACTERIA: Final = "bacteria"
VIRUS: Final = "virus"
UNKNOWN: Final = "unknown"  # pneumonia whose pathogen the source does not tell
OTHER: Final = "other"  # abnormal, but no pneumonia

PATHOGENS: Final = (NORMAL, BACTERIA, VIRUS, UNKNOWN, OTHER)


@dataclass(frozen=True)
class Task:
    """A classification task over pathogens.

    Attributes:
      name: what the configuration calls it.
      classes: class names in the order of the model's output.
      compatible: pathogen -> indices of the classes that it may belong to. One index is an ordinary
        label. Several are a partial label: an image of pneumonia of unknown pathogen is bacteria or
        virus, and training uses just that. A pathogen that is missing here has no place in the
        task; its records are left out.
      positive: indices of the classes whose summed probability is *the* score of the task, the one
        that has an operating point.
      two_stage: the network asks "positive or not" and then "which of the positive classes", and
        multiplies; otherwise one softmax over all classes.
      located: a record's class comes from its boxes and not from its pathogen: the first positive
        class where it has one, otherwise the first that is not. The model says where, too.
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
        """Indices of the classes that a record may belong to.

        Args:
          pathogen: of `PATHOGENS`.
          boxes: how many opacities are marked in the record; only a located task looks at it.
        """
        if self.located:
            return (self.positive if boxes > 0 else self.negative)[:1]
        return self.compatible.get(pathogen, ())

    def class_of(self, pathogen: str, boxes: int) -> int:
        """Index of the one class of a record; -1 where there is none or more than one."""
        found = self.compatible_classes(pathogen, boxes)
        return found[0] if len(found) == 1 else -1

    def binary_label(self, pathogen: str, boxes: int) -> int:
        """1 or 0 where every class that a record may belong to agrees, otherwise -1."""
        found = {int(i in self.positive) for i in self.compatible_classes(pathogen, boxes)}
        return found.pop() if len(found) == 1 else -1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The task that `to_dict` wrote."""
        return cls(
            name=values["name"],
            classes=tuple(values["classes"]),
            compatible={key: tuple(of) for key, of in values["compatible"].items()},
            positive=tuple(values["positive"]),
            two_stage=bool(values["two_stage"]),
            located=bool(values.get("located", False)),  # models of before know no boxes
        )


BINARY: Final = Task(
    name="binary",
    classes=("NORMAL", "PNEUMONIA"),
    compatible={NORMAL: (0,), OTHER: (0,), BACTERIA: (1,), VIRUS: (1,), UNKNOWN: (1,)},
    positive=(1,),
)
_THREE: Final = ("NORMAL", "BACTERIA", "VIRUS")
_OF_THREE: Final = {NORMAL: (0,), BACTERIA: (1,), VIRUS: (2,), UNKNOWN: (1, 2)}
THREE_CLASS: Final = Task("three_class", _THREE, _OF_THREE, positive=(1, 2))
TWO_STAGE: Final = Task("two_stage", _THREE, _OF_THREE, positive=(1, 2), two_stage=True)
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
    """A task of any mapping.

    Args:
      classes: class name -> pathogens, in the order of the model's output. A pathogen may stand in
        several classes: it is then a partial label. A pathogen in none is left out.
      positive: names of the positive classes; at least one, and not all.

    Raises:
      ValueError: fewer than two classes, an unknown pathogen or class, a class that no pathogen
        stands for alone, or no class left that is not positive.
    """
    names = tuple(classes)
    if len(names) < 2:
        raise ValueError(f"a task needs two classes or more, not {list(names)}")
    compatible: dict[str, tuple[int, ...]] = {}
    for i, (name, pathogens) in enumerate(classes.items()):
        for pathogen in pathogens:
            if pathogen not in PATHOGENS:
                raise ValueError(
                    f"class {name!r} names {pathogen!r}; choose from {', '.join(PATHOGENS)}"
                )
            compatible[pathogen] = (*compatible.get(pathogen, ()), i)
    alone = {of[0] for of in compatible.values() if len(of) == 1}
    for i, name in enumerate(names):
        if i not in alone:
            raise ValueError(f"class {name!r} has no pathogen of its own to learn from")
    unknown = [name for name in positive if name not in names]
    if unknown:
        raise ValueError(f"positive class {unknown[0]!r} is not one of {', '.join(names)}")
    chosen = tuple(i for i, name in enumerate(names) if name in set(positive))
    if not chosen or len(chosen) == len(names):
        raise ValueError("some classes must be positive and some not; name them in positive")
    return Task(CUSTOM, names, compatible, chosen)


def get_task(name: str) -> Task:
    """Returns the shipped task of that name.

    Raises:
      ValueError: no such task; the message lists those that exist.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise ValueError(
            f"unknown task {name!r}; choose one of {', '.join(sorted(TASKS))}"
        ) from None
