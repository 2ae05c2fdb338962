"""Input of the report. Every part may be missing."""

from dataclasses import dataclass, field
from typing import Any

from core.predictions.predictions import SplitPredictions
from core.reporting.report.heat_maps import HeatMaps


@dataclass(frozen=True)
class SampleImage:
    """An image of the training split to show."""

    filename: str
    pathogen: str
    content: bytes


@dataclass(frozen=True)
class ReportData:
    """Everything that the page shows.

    Attributes:
      name: of the configuration.
      resamples: number of bootstrap resamples.
      seed: of the bootstrap.
      dataset: `dataset.json` of ingest, with `shortcuts` (see `shortcut_baselines.shortcut_check`).
      leakage: `leakage.json` of ingest.
      samples: images of the training split.
      training: `training.json` of the Trainer.
      histories: seed -> training curves.
      model_summary: text of `Model.summary()`.
      predictions: on the test split.
      val: predictions on the validation split.
      held_out: predictions of shifted validation on the images held out of its folds.
      images: id -> file content, of the images to show.
      boxes: box threshold and box scale of the model, and how they were chosen.
      shifted: `shifted_validation.json` of the Trainer.
      heat_maps: heat maps and predicted boxes of some test images.
      tfma: slice -> metric -> value, computed by the Evaluator.
      blessing: `decision.json` of the Gate.
      infra: `blessed` and `reasons` of infrastructure validation; None if it did not run.
      stress_test: `corruptions.json` of StressTest; None if it did not run.
      pushed: folder of the pushed version; empty if the model was not pushed.
      config: YAML.
      versions: package -> version.
    """

    name: str
    resamples: int = 2000
    seed: int = 0
    dataset: dict[str, Any] | None = None
    leakage: dict[str, Any] | None = None
    samples: list[SampleImage] = field(default_factory=list)
    training: dict[str, Any] | None = None
    histories: dict[str, dict[str, Any]] = field(default_factory=dict)
    model_summary: str | None = None
    predictions: SplitPredictions | None = None
    val: SplitPredictions | None = None
    held_out: SplitPredictions | None = None
    images: dict[str, bytes] = field(default_factory=dict)
    boxes: dict[str, Any] | None = None
    shifted: dict[str, Any] | None = None
    heat_maps: HeatMaps | None = None
    tfma: dict[str, dict[str, float]] | None = None
    blessing: dict[str, Any] | None = None
    infra: dict[str, Any] | None = None
    stress_test: dict[str, Any] | None = None
    pushed: str = ""
    config: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
