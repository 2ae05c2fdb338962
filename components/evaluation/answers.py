"""A model's answers to the images of a split, with the task and what validation fixed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.operating_point import decide, predicted_class
from components.scorer import table
from schema.errors import PneumoError
from schema.labels import Task


@dataclass(frozen=True)
class Answers:
    """One entry for each image of a split; columns as in components.scorer.table.

    Attributes:
      of: the task.
      threshold: a score at or above it is positive.
      band: scores from the first to below the second are referred; None: no band.
      temperature: log-probabilities of the ensemble are divided by it.
      sha256: id of the image, [n].
      filename: [n].
      patient: [n].
      pathogen: [n].
      source: [n].
      height: int64 [n], pixels.
      width: int64 [n], pixels.
      brightness: float64 [n], mean gray level, 0..255.
      label: int64 [n], class index; -1 where there is none, or more than one may be.
      positive: int64 [n], 1, 0, or -1 where the task does not tell.
      score: float64 [n], calibrated probability of the positive classes.
      probabilities: float64 [n, C], calibrated.
      raw: float64 [n, C], the ensemble before temperature.
      members: float64 [n, M, C], each member before temperature.
    """

    of: Task
    threshold: float
    band: tuple[float, float] | None
    temperature: float
    sha256: np.ndarray
    filename: np.ndarray
    patient: np.ndarray
    pathogen: np.ndarray
    source: np.ndarray
    height: np.ndarray
    width: np.ndarray
    brightness: np.ndarray
    label: np.ndarray
    positive: np.ndarray
    score: np.ndarray
    probabilities: np.ndarray
    raw: np.ndarray
    members: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    def where(self, chosen: np.ndarray) -> "Answers":
        """The entries of a mask or of indices."""
        rows = {
            field.name: getattr(self, field.name)[chosen]
            for field in fields(self)
            if field.name not in ("of", "threshold", "band", "temperature")
        }
        return replace(self, **rows)

    def told(self) -> "Answers":
        """The images whose side the task tells; numbers of the score are of these."""
        return self.where(self.positive >= 0)

    def labelled(self) -> "Answers":
        """The images of one class; numbers of classes are of these."""
        return self.where(self.label >= 0)

    @property
    def decision(self) -> np.ndarray:
        """1 positive, 0 negative, -1 referred, int64 [n]."""
        return decide(self.score, self.threshold, self.band)

    @property
    def called(self) -> np.ndarray:
        """1 positive, 0 negative, as if there were no band, int64 [n]."""
        return decide(self.score, self.threshold)

    @property
    def predicted(self) -> np.ndarray:
        """The class that is answered, int64 [n]."""
        return predicted_class(self.probabilities, self.score, self.of.positive, self.threshold)

    @property
    def pair(self) -> tuple[int, ...]:
        """Classes whose pairs are of interest: the positive ones, all where there is only one."""
        return self.of.positive if len(self.of.positive) > 1 else ()


def read_answers(file: Path, facts: Mapping[str, Any]) -> Answers:
    """Reads a Parquet file of predictions.

    Args:
      file: columns of components.scorer.table.
      facts: of the model: `task` (of `Task.to_dict`), `threshold`, `band`, `temperature`.

    Raises:
      PneumoError: the columns do not fit the task.
    """
    columns = table.read(file).to_pydict()
    of = Task.from_dict(facts["task"])
    n, classes = len(columns["score"]), len(of.classes)

    def rows(name: str, *shape: int) -> np.ndarray:
        if not n:
            return np.zeros((0, *(max(1, side) for side in shape)))
        widths = {len(row) for row in columns[name]}
        if len(widths) != 1 or widths.pop() % classes:
            raise PneumoError(
                f"{file}: column {name} does not hold the {classes} classes of task {of.name!r}; "
                "score the split again"
            )
        return np.array(columns[name], np.float64).reshape(n, *shape)

    band = facts.get("band")
    return Answers(
        of=of,
        threshold=float(facts["threshold"]),
        band=(float(band[0]), float(band[1])) if band else None,
        temperature=float(facts["temperature"]),
        sha256=np.array(columns["sha256"], str),
        filename=np.array(columns["filename"], str),
        patient=np.array(columns["patient_id"], str),
        pathogen=np.array(columns["pathogen"], str),
        source=np.array(columns["source"], str),
        height=np.array(columns["height"], np.int64),
        width=np.array(columns["width"], np.int64),
        brightness=np.array(columns["brightness"], np.float64),
        label=np.array(columns["label"], np.int64),
        positive=np.array(columns["positive"], np.int64),
        score=np.array(columns["score"], np.float64),
        probabilities=rows("probabilities", classes),
        raw=rows("raw", classes),
        members=rows("members", -1, classes),
    )


def read_scored(folder: Path, name: str = table.FILE) -> Answers | None:
    """Answers that the Scorer left in a folder, with the facts of the model beside them.

    Returns:
      None where there is no such file.
    """
    file = folder / name
    if not file.is_file():
        return None
    return read_answers(file, json.loads(file.with_suffix(".json").read_text()))
