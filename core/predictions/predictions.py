"""Predictions of a model on a split, with its task and operating point."""

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
    """One entry per image; columns [n] as in `core.predictions.table`.

    Attributes:
      task: the task.
      threshold: a score at or above it is positive.
      band: (low, high), scores with low <= score < high are referred; None: no band.
      temperature: divides the log-probabilities of the ensemble.
      probabilities: float64 [n, C], calibrated.
      raw: float64 [n, C], probabilities of the ensemble before temperature scaling.
      members: float64 [n, M, C], probabilities of each member before temperature scaling.
      truth_boxes: object [n], each float64 [k, 4]; default: no boxes.
      boxes: object [n], each float64 [m, 4], best first, before thresholding; default: no boxes.
      box_scores: object [n], each float64 [m].
      box_threshold: a box is shown if its score is at or above it; None: no predicted boxes.
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
                raise ValueError(f"{name} has {n} images, not {len(self)}")

    def __len__(self) -> int:
        return len(self.score)

    def where(self, selected: np.ndarray) -> "SplitPredictions":
        """Selects images by a mask or by indices."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        return replace(
            self,
            **{k: v[selected] for k, v in columns.items() if isinstance(v, np.ndarray)},
        )

    def with_binary_label(self) -> "SplitPredictions":
        """Selects the images with a known binary label, for binary metrics."""
        return self.where(self.positive >= 0)

    def with_class_label(self) -> "SplitPredictions":
        """Selects the images with a known class, for multiclass metrics."""
        return self.where(self.label >= 0)

    @property
    def decision(self) -> np.ndarray:
        """1 positive, 0 negative, -1 referred, int64 [n]."""
        return decide(self.score, self.threshold, self.band)

    @property
    def predicted_positive(self) -> np.ndarray:
        """1 positive, 0 negative, without the referral band, int64 [n]."""
        return decide(self.score, self.threshold)

    @property
    def predicted_label(self) -> np.ndarray:
        """The predicted class, int64 [n]."""
        return predicted_class(self.probabilities, self.score, self.task.positive, self.threshold)

    @property
    def predicts_boxes(self) -> bool:
        """Whether the model predicts boxes that can be compared with true boxes."""
        return self.box_threshold is not None

    def shown_boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the boxes and scores at or above the box threshold, object [n] each."""
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
        """Classes for the pairwise AUC: the positive ones; empty (all) if there is only one."""
        return self.task.positive if len(self.task.positive) > 1 else ()


def _ragged(rows: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
    arrays = [np.asarray(row, np.float64).reshape(shape) for row in rows]
    out = np.empty(len(arrays), object)
    for i, row in enumerate(arrays):
        out[i] = row
    return out


def read_predictions(
    file: Path, facts: Mapping[str, Any], held_out: bool = False
) -> SplitPredictions:
    """Reads a Parquet file of predictions.

    Args:
      file: columns of core.predictions.table.
      facts: metadata of the model: `task` (from `Task.to_dict`), `threshold`, `band` and
        `temperature`; for a detector also `boxes` with `threshold`.
      held_out: read only the held-out images of shifted validation.

    Raises:
      PneumoError: the columns do not match the task.
    """
    images = table.read(file)
    columns = (images.filter(images["held_out"]) if held_out else images).to_pydict()
    task = Task.from_dict(facts["task"])
    n, classes = len(columns["score"]), len(task.classes)

    def rows(name: str, *shape: int) -> np.ndarray:
        if not n:
            return np.zeros((0, *(max(1, side) for side in shape)))
        widths = {len(row) for row in columns[name]}
        if len(widths) != 1 or widths.pop() % classes:
            raise PneumoError(
                f"{file}: column {name} does not match the "
                f"{classes} classes of task {task.name!r}; "
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
        # Boxes from a classifier's heat map are explanations, not predictions.
        box_threshold=float(boxes["threshold"]) if task.located and boxes else None,
    )


def read_scorer_output(folder: Path, name: str = table.FILE) -> SplitPredictions | None:
    """Reads predictions and model metadata that the Scorer wrote; None if there are none."""
    file = folder / name
    if not file.is_file():
        return None
    return read_predictions(file, json.loads(file.with_suffix(".json").read_text()))
