"""What the report is made of. Every part may be missing; the page then says so."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

DISCLAIMER = (
    "Research software, not a medical device. Nothing here may be used to decide on a patient."
)


@dataclass(frozen=True)
class Predicted:
    """The model's answers on the test split, one entry for each image that has a label.

    Attributes:
      sha256: id of the image, [n].
      filename: [n].
      patient: [n].
      pathogen: [n].
      source: [n].
      label: int64 [n], 1 is the positive class.
      score: float64 [n], probability of the positive class.
    """

    sha256: np.ndarray
    filename: np.ndarray
    patient: np.ndarray
    pathogen: np.ndarray
    source: np.ndarray
    label: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def where(self, chosen: np.ndarray) -> "Predicted":
        """The entries of a mask or of indices."""
        return Predicted(
            **{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__}
        )


@dataclass(frozen=True)
class Sample:
    """An image of the training split to show."""

    filename: str
    pathogen: str
    content: bytes


@dataclass(frozen=True)
class ReportData:
    """Everything that the page shows.

    Attributes:
      name: of the configuration.
      classes: names of the negative and the positive class.
      threshold: a score at or above it is called positive.
      resamples: of the bootstrap.
      seed: of the bootstrap.
      notices: lines that must stand first (synthetic data, random weights).
      dataset: `dataset.json` of ingest.
      leakage: `leakage.json` of ingest.
      samples: images of the training split.
      training: `training.json` of the Trainer.
      history: `history.json` of the Trainer.
      model_summary: text.
      predictions: answers on test.
      images: id -> bytes, for the mistakes.
      tfma: slice -> metric -> value, of the Evaluator.
      blessing: `blessed`, `rules`, and `failures` (lines of text) where there are any.
      pushed: folder of the pushed version; empty when it was not.
      config: YAML.
      versions: package -> version.
      nodes: of the run: `name`, `seconds`, `cached`.
    """

    name: str
    classes: tuple[str, str] = ("NORMAL", "PNEUMONIA")
    threshold: float = 0.5
    resamples: int = 2000
    seed: int = 0
    notices: list[str] = field(default_factory=list)
    dataset: dict[str, Any] | None = None
    leakage: dict[str, Any] | None = None
    samples: list[Sample] = field(default_factory=list)
    training: dict[str, Any] | None = None
    history: dict[str, Any] | None = None
    model_summary: str | None = None
    predictions: Predicted | None = None
    images: dict[str, bytes] = field(default_factory=dict)
    tfma: dict[str, dict[str, float]] | None = None
    blessing: dict[str, Any] | None = None
    pushed: str = ""
    config: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    nodes: list[dict[str, Any]] | None = None
