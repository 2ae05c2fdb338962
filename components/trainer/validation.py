"""Everything that is chosen on the validation split after training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.embedding.store import Embeddings
from core.training.calibration import CalibrationResult, calibrate
from core.training.data.targets import class_targets
from core.training.ensemble_predictions import EnsemblePredictions
from core.training.job import Job
from core.training.shifted_validation.rules import pooled_folds
from core.training.shifted_validation.train import ShiftedValidation

if TYPE_CHECKING:
    from core.training.detector.phase import CalibratedDetector, TrainedDetectors


@dataclass(frozen=True)
class CalibratedValidation:
    """Predictions on the validation split and everything that was chosen on them.

    Attributes:
      predictions: of the ensemble members; for a detection task fused with the strongest box.
      targets: float32 [n, classes], 1 for each class that the record may belong to.
      positive: int [n]: 1, 0, or -1 if unknown.
      calibrated: temperature, operating point and referral band.
      detector: calibrated boxes of a detection task; None otherwise.
    """

    predictions: EnsemblePredictions
    targets: np.ndarray
    positive: np.ndarray
    calibrated: CalibrationResult
    detector: "CalibratedDetector | None"


def calibrate_validation(
    job: Job,
    predictions: EnsemblePredictions,
    detectors: "TrainedDetectors | None",
    val: Embeddings,
    shifted: ShiftedValidation | None,
) -> CalibratedValidation:
    """Chooses temperature, operating point and referral band, and the boxes of a detector.

    Args:
      job: configuration.
      predictions: of the ensemble on the validation split.
      detectors: of a detection task; None otherwise.
      val: validation split.
      shifted: folds, used by `operating_point.fit_on: pooled`; None without.
    """
    from core.models.detector.score_fusion import fit_score_fusion
    from core.training.detector.phase import calibrate_detector

    targets = class_targets(val.records.pathogen, job.task, val.records.box_counts)
    positive = val.records.binary_labels(job.task)
    if detectors is None:
        pool = pooled_folds(job, shifted, positive)
        calibrated = calibrate(
            predictions.logits, targets, positive, job.task, job.evaluation, pool
        )
        return CalibratedValidation(predictions, targets, positive, calibrated, None)
    fusion = fit_score_fusion(predictions.logits, detectors.strongest, positive)
    predictions = EnsemblePredictions.from_logits(
        fusion.fuse(predictions.logits, detectors.strongest)
    )
    calibrated = calibrate(predictions.logits, targets, positive, job.task, job.evaluation)
    detector = calibrate_detector(job, detectors, fusion, val, calibrated.score)
    return CalibratedValidation(predictions, targets, positive, calibrated, detector)
