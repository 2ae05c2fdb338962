"""What the report is made of. Every part may be missing; the page then says so."""

from dataclasses import dataclass, field
from typing import Any

from components.evaluation.answers import Answers
from components.report.heat import Heat

DISCLAIMER = (
    "Research software, not a medical device. Nothing here may be used to decide on a patient."
)
SYNTHETIC = (
    "SYNTHETIC DATA: these radiographs were drawn by a program; the numbers show that the "
    "pipeline works and say nothing about real X-rays."
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
      resamples: of the bootstrap.
      seed: of the bootstrap.
      notices: lines that must stand first (synthetic data, random weights).
      dataset: `dataset.json` of ingest.
      leakage: `leakage.json` of ingest.
      samples: images of the training split.
      training: `training.json` of the Trainer.
      histories: seed -> curves of that member, as the Trainer wrote them.
      model_summary: text.
      answers: on test.
      val: on validation.
      images: id -> bytes, for the mistakes and for the images with boxes.
      boxes: what the model carries of its boxes: threshold, size and how they were chosen.
      heat: what the model says of places in some images of test.
      tfma: slice -> metric -> value, of the Evaluator.
      blessing: `decision.json` of the Gate.
      infra: `blessed`, and `reasons` of a server that refused the model; None: none was asked.
      pushed: folder of the pushed version; empty when it was not.
      config: YAML.
      versions: package -> version.
    """

    name: str
    resamples: int = 2000
    seed: int = 0
    notices: list[str] = field(default_factory=list)
    dataset: dict[str, Any] | None = None
    leakage: dict[str, Any] | None = None
    samples: list[Sample] = field(default_factory=list)
    training: dict[str, Any] | None = None
    histories: dict[str, dict[str, Any]] = field(default_factory=dict)
    model_summary: str | None = None
    answers: Answers | None = None
    val: Answers | None = None
    images: dict[str, bytes] = field(default_factory=dict)
    boxes: dict[str, Any] | None = None
    heat: Heat | None = None
    tfma: dict[str, dict[str, float]] | None = None
    blessing: dict[str, Any] | None = None
    infra: dict[str, Any] | None = None
    pushed: str = ""
    config: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
