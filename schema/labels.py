"""Pathogens that a record may carry, and the tasks whose labels are derived from them.

A record never stores the label of a task: one set of records serves every task.
"""

from dataclasses import dataclass
from typing import Final

NORMAL: Final = "normal"
BACTERIA: Final = "bacteria"
VIRUS: Final = "virus"
UNKNOWN: Final = "unknown"  # pneumonia whose pathogen the source does not tell

PATHOGENS: Final = (NORMAL, BACTERIA, VIRUS, UNKNOWN)


@dataclass(frozen=True)
class Task:
    """A classification task over pathogens.

    Attributes:
      name: what the configuration calls it.
      classes: class names in the order of the model's output.
      class_of: pathogen -> index into `classes`. A pathogen that is missing here has no label in
        this task; its records are left out of it.
      positive: index of the class whose probability is *the* score of a binary task.
    """

    name: str
    classes: tuple[str, ...]
    class_of: dict[str, int]
    positive: int


BINARY: Final = Task(
    name="binary",
    classes=("NORMAL", "PNEUMONIA"),
    class_of={NORMAL: 0, BACTERIA: 1, VIRUS: 1, UNKNOWN: 1},
    positive=1,
)

TASKS: Final = {BINARY.name: BINARY}


def task(name: str) -> Task:
    """Returns the task of that name.

    Raises:
      ValueError: no such task; the message lists those that exist.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise ValueError(
            f"unknown task {name!r}; choose one of {', '.join(sorted(TASKS))}"
        ) from None
