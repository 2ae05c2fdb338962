"""A model's predictions for the images of a split, with the task and the operating point."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.metrics.operating_point import decide, predicted_class
from core.predictions import table
from schema.errors import PneumoError
from schema.labels import Task

# Columns of boxes, and the shape of each row.
_BOXES = {"truth_boxes": (-1, 4), "boxes": (-1, 4), "box_scores": (-1,)}


def _none() -> np.ndarray:
    return np.empty(0, object)


@dataclass(frozen=True)
class SplitPredictions:
    """One entry for each image of a split; columns [n] as in `core.predictions.table`.

    Attributes:
      task: the task.
      threshold: a score at or above it is positive.
      band: scores from the first to below the second are referred; None: no band.
      temperature: log-probabilities of the ensemble are divided by it.
      probabilities: float64 [n, C], calibrated.
      raw: float64 [n, C], the ensemble before temperature.
      members: float64 [n, M, C], each member before temperature.
      truth_boxes: object [n], each float64 [k, 4]; left out: none.
      boxes: object [n], each float64 [m, 4], best first, not cut; left out: none.
      box_scores: object [n], each float64 [m].
      box_threshold: a box whose score is at or above it is shown; None: the model predicts none.
    """

    task: Task
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
    truth_boxes: np.ndarray = field(default_factory=_none)
    boxes: np.ndarray = field(default_factory=_none)
    box_scores: np.ndarray = field(default_factory=_none)
    box_threshold: float | None = None

    def __post_init__(self) -> None:
        for name, shape in _BOXES.items():
            n = len(getattr(self, name))
            if not n:
                object.__setattr__(self, name, _ragged([[]] * len(self), shape))
            elif n != len(self):
                raise ValueError(f"{name} of {n} images, not {len(self)}")

    def __len__(self) -> int:
        return len(self.score)

    def where(self, chosen: np.ndarray) -> "SplitPredictions":
        """The entries of a mask or of indices."""
        columns = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(
            self,
            **{k: v[chosen] for k, v in columns.items() if isinstance(v, np.ndarray)},
        )

    def with_binary_label(self) -> "SplitPredictions":
        """The images whose side the task defines; metrics of the score are of these."""
        return self.where(self.positive >= 0)

    def with_class_label(self) -> "SplitPredictions":
        """The images of a known class; metrics of classes are of these."""
        return self.where(self.label >= 0)

    @property
    def decision(self) -> np.ndarray:
        """1 positive, 0 negative, -1 referred, int64 [n]."""
        return decide(self.score, self.threshold, self.band)

    @property
    def predicted_positive(self) -> np.ndarray:
        """1 positive, 0 negative, as if there were no band, int64 [n]."""
        return decide(self.score, self.threshold)

    @property
    def predicted_label(self) -> np.ndarray:
        """The predicted class, int64 [n]."""
        return predicted_class(self.probabilities, self.score, self.task.positive, self.threshold)

    @property
    def predicts_boxes(self) -> bool:
        """Whether the model predicts boxes that can be compared with the marked ones."""
        return self.box_threshold is not None

    def shown_boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores at or above the threshold of boxes; object [n] each."""
        least = -np.inf if self.box_threshold is None else self.box_threshold
        keep = [scores >= least for scores in self.box_scores]
        boxes, scores = (
            _ragged([row[k] for row, k in zip(getattr(self, name), keep, strict=True)], shape)
            for name, shape in _BOXES.items()
            if name != "truth_boxes"
        )
        return boxes, scores

    @property
    def pair(self) -> tuple[int, ...]:
        """Classes whose pairs are of interest: the positive ones, all where there is only one."""
        return self.task.positive if len(self.task.positive) > 1 else ()


def _ragged(rows: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
    arrays = [np.asarray(row, np.float64).reshape(shape) for row in rows]
    out = np.empty(len(arrays), object)
    for i, row in enumerate(arrays):
        out[i] = row
    return out


def read_predictions(file: Path, facts: Mapping[str, Any]) -> SplitPredictions:
    """Reads a Parquet file of predictions.

    Args:
      file: columns of core.predictions.table.
      facts: of the model: `task` (of `Task.to_dict`), `threshold`, `band`, `temperature`; of a
        model that predicts boxes, `boxes` with `threshold`.

    Raises:
      PneumoError: the columns do not fit the task.
    """
    columns = table.read(file).to_pydict()
    task = Task.from_dict(facts["task"])
    n, classes = len(columns["score"]), len(task.classes)

    def rows(name: str, *shape: int) -> np.ndarray:
        if not n:
            return np.zeros((0, *(max(1, side) for side in shape)))
        widths = {len(row) for row in columns[name]}
        if len(widths) != 1 or widths.pop() % classes:
            raise PneumoError(
                f"{file}: column {name} does not hold the {classes} classes of task {task.name!r}; "
                "score the split again"
            )
        return np.array(columns[name], np.float64).reshape(n, *shape)

    def column(kind: type, *names: str) -> dict[str, np.ndarray]:
        return {name: np.array(columns[name], kind) for name in names}

    band, boxes = facts.get("band"), facts.get("boxes")
    return SplitPredictions(
        task=task,
        threshold=float(facts["threshold"]),
        band=(float(band[0]), float(band[1])) if band else None,
        temperature=float(facts["temperature"]),
        patient=np.array(columns["patient_id"], str),
        **column(str, "sha256", "filename", "pathogen", "source"),
        **column(np.int64, "height", "width", "label", "positive"),
        **column(np.float64, "brightness", "score"),
        probabilities=rows("probabilities", classes),
        raw=rows("raw", classes),
        members=rows("members", -1, classes),
        **{name: _ragged(columns[name], shape) for name, shape in _BOXES.items()},
        # The weak boxes of a classifier's heat map are not its predictions.
        box_threshold=float(boxes["threshold"]) if task.located and boxes else None,
    )


def read_scorer_output(folder: Path, name: str = table.FILE) -> SplitPredictions | None:
    """Predictions that the Scorer wrote, with the facts of the model beside them; None if none."""
    file = folder / name
    if not file.is_file():
        return None
    return read_predictions(file, json.loads(file.with_suffix(".json").read_text()))
