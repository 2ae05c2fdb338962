"""A model's answers to the images of a split, with the task and what validation fixed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation import table
from components.evaluation.operating_point import decide, predicted_class
from schema.errors import PneumoError
from schema.labels import Task


@dataclass(frozen=True)
class Answers:
    """One entry for each image of a split; columns as in components.evaluation.table.

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
      truth_boxes: object [n], each float64 [k, 4]: ymin, xmin, ymax, xmax of the marked opacities,
        relative; left out: none.
      boxes: object [n], each float64 [m, 4]: predicted boxes, best first, not cut; left out: none.
      box_scores: object [n], each float64 [m].
      box_threshold: a box whose score is at or above it is shown; None: the model predicts none.
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
    truth_boxes: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    boxes: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    box_scores: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    box_threshold: float | None = None

    def __post_init__(self) -> None:
        for name, shape in (("truth_boxes", (-1, 4)), ("boxes", (-1, 4)), ("box_scores", (-1,))):
            if len(getattr(self, name)) != len(self):
                if len(getattr(self, name)):
                    raise ValueError(
                        f"{name} of {len(getattr(self, name))} images, not {len(self)}"
                    )
                object.__setattr__(self, name, _ragged([[]] * len(self), shape))

    def __len__(self) -> int:
        return len(self.score)

    def where(self, chosen: np.ndarray) -> "Answers":
        """The entries of a mask or of indices."""
        rows = {
            one.name: getattr(self, one.name)[chosen]
            for one in fields(self)
            if one.name not in ("of", "threshold", "band", "temperature", "box_threshold")
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
    def locates(self) -> bool:
        """Whether the model predicts boxes, so that they can be held against the marked ones."""
        return self.box_threshold is not None

    def shown_boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores at or above the threshold of boxes; object [n] each."""
        least = -np.inf if self.box_threshold is None else self.box_threshold
        keep = [scores >= least for scores in self.box_scores]
        boxes, scores = (
            [row[k] for row, k in zip(rows, keep, strict=True)]
            for rows in (self.boxes, self.box_scores)
        )
        return _ragged(boxes, (-1, 4)), _ragged(scores, (-1,))

    @property
    def pair(self) -> tuple[int, ...]:
        """Classes whose pairs are of interest: the positive ones, all where there is only one."""
        return self.of.positive if len(self.of.positive) > 1 else ()


def _ragged(rows: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
    found = [np.asarray(row, np.float64).reshape(shape) for row in rows]
    out = np.empty(len(found), object)
    for i, row in enumerate(found):
        out[i] = row
    return out


def read_answers(file: Path, facts: Mapping[str, Any]) -> Answers:
    """Reads a Parquet file of predictions.

    Args:
      file: columns of components.evaluation.table.
      facts: of the model: `task` (of `Task.to_dict`), `threshold`, `band`, `temperature`; of a
        model that predicts boxes, `boxes` with `threshold`.

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
        truth_boxes=_ragged(columns["truth_boxes"], (-1, 4)),
        boxes=_ragged(columns["boxes"], (-1, 4)),
        box_scores=_ragged(columns["box_scores"], (-1,)),
        box_threshold=_box_threshold(of, facts.get("boxes")),
    )


def _box_threshold(of: Task, about: Mapping[str, Any] | None) -> float | None:
    """Of a located task; the weak boxes of a classifier's heat map are not its answer."""
    return float(about["threshold"]) if of.located and about else None


def read_scored(folder: Path, name: str = table.FILE) -> Answers | None:
    """Answers that the Scorer left in a folder, with the facts of the model beside them.

    Returns:
      None where there is no such file.
    """
    file = folder / name
    if not file.is_file():
        return None
    return read_answers(file, json.loads(file.with_suffix(".json").read_text()))
