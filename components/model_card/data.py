"""What a card is made of: the facts that a run left, the questions, and the answered items."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from schema.labels import Task

UNKNOWN: Final = "unknown"
SOFTWARE: Final = "the software"  # what holds for every model that this pipeline makes


@dataclass(frozen=True)
class Facts:
    """Everything that a run left. Every file may be missing; its items are then unknown.

    Attributes:
      task: of the model.
      config: the configuration, defaults filled in.
      dataset: `dataset.json` of ingest.
      leakage: `leakage.json` of ingest.
      rejects: rows of `rejects.jsonl`: `file`, `reason`, `detail`.
      training: `training.json` of the Trainer.
      about: `pneumo.json` that the model carries.
      report: `report.json`.
      decision: `decision.json` of the Gate.
      lineage: a row for each artifact, see components.model_card.lineage.
      run: `pipeline`, `run_id`, `execution`, as ML Metadata names them.
    """

    task: Task
    config: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] | None = None
    leakage: dict[str, Any] | None = None
    rejects: list[dict[str, Any]] = field(default_factory=list)
    training: dict[str, Any] | None = None
    about: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    lineage: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    @property
    def card(self) -> dict[str, str]:
        """The free text of the configuration that says something."""
        given = self.config.get("card") or {}
        return {name: text.strip() for name, text in given.items() if text and text.strip()}

    def part(self, source: str, name: str) -> dict[str, Any]:
        """A mapping inside a file; empty where either is missing."""
        found = (getattr(self, source) or {}).get(name)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Told:
    """An answer and where it came from."""

    value: str
    origin: str


Answer = Callable[[Facts], Told | None]


@dataclass(frozen=True)
class Question:
    """One row of the table of items.

    Attributes:
      id: short name.
      section: heading.
      claim: numbers of CLAIM 2024, as "9" or "37, 38"; empty where it has no such item.
      tripod: numbers of TRIPOD+AI.
      text: the question.
      answer: finds the answer; None: it is not known.
      option: key of `card` in the configuration that may answer it; empty: none.
    """

    id: str
    section: str
    claim: str
    tripod: str
    text: str
    answer: Answer
    option: str = ""


@dataclass(frozen=True)
class Item:
    """An answered question.

    Attributes:
      value: the answer, or "unknown".
      origin: file or key that it came from; for an unknown item how to make it known.
      known: whether there is an answer.
    """

    id: str
    section: str
    claim: str
    tripod: str
    question: str
    value: str
    origin: str
    known: bool


def number(value: Any, digits: int = 3) -> str:
    """A number for people; "not defined" where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "not defined"


def interval(value: dict[str, Any] | None) -> str:
    """An estimate with its interval, as "0.950 (0.930 to 0.970)"."""
    if not value or value.get("estimate") is None:
        return "not defined"
    if value.get("low") is None or value.get("high") is None:
        return f"{number(value['estimate'])} (no interval)"
    return f"{number(value['estimate'])} ({number(value['low'])} to {number(value['high'])})"


def listed(counts: dict[str, Any]) -> str:
    """Counts as "3 truncated, 1 not an image"."""
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items())
