"""Temperature and operating point fitted on validation, or on validation and the folds."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from core.embedding.records import ImageRecords
from core.metrics.options import EvaluationOptions
from core.training.calibration import (
    CalibrationResult,
    OutOfFoldPredictions,
    apply_calibration,
    calibrate,
)
from core.training.data.targets import class_targets
from core.training.ensemble_predictions import EnsemblePredictions
from core.training.job import Job
from core.training.shifted_validation.statistics import (
    intervals,
    mean_intervals,
    split_statistics,
)
from core.training.shifted_validation.train import ShiftedValidation, TrainedFold
from schema.labels import Task

RULES: Final = ("validation", "pooled")
RULE_METRICS: Final = ("sensitivity", "specificity", "ece")


def out_of_fold(
    folds: Sequence[TrainedFold], positive: np.ndarray, task: Task
) -> OutOfFoldPredictions | None:
    """Returns the predictions of the folds with weights; None without folds.

    A validation image of the other side occurs in every fold and in ordinary validation. So each
    fold has the same weight on each side, and all folds together have half the weight of that side
    on validation; ordinary validation has the other half.

    Args:
      folds: trained folds.
      positive: binary labels of the validation split, int [n]; -1 if unknown.
      task: defines the classes.
    """
    if not folds:
        return None
    weights = []
    for one in folds:
        labels = one.records.binary_labels(task)
        shares = [(positive == side).sum() / (labels == side).sum() for side in (0, 1)]
        weights.append(0.5 / len(folds) * np.where(labels == 1, shares[1], shares[0]))
    records = ImageRecords.concatenate([one.records for one in folds])
    return OutOfFoldPredictions(
        np.concatenate([one.calibrated.raw for one in folds]),
        class_targets(records.pathogen, task, records.box_counts),
        records.binary_labels(task),
        np.concatenate(weights),
    )


def pooled_folds(
    job: Job, shifted: ShiftedValidation | None, positive: np.ndarray
) -> OutOfFoldPredictions | None:
    """Returns the predictions that `fit_on: pooled` adds to validation; None for another rule."""
    if shifted is None or job.evaluation.operating_point.fit_on != "pooled":
        return None
    return out_of_fold(shifted.trained, positive, job.task)


def rule_results(
    folds: Sequence[TrainedFold],
    records: ImageRecords,
    predictions: EnsemblePredictions,
    task: Task,
    options: EvaluationOptions,
) -> dict[str, Any]:
    """Compares the two values of `operating_point.fit_on` on ordinary and shifted validation.

    For shifted validation a fold is evaluated with the temperature and the threshold of the final
    model, which for the pooled rule are fitted without this fold.

    Args:
      folds: trained folds.
      records: of the validation split.
      predictions: of the final model on the validation split.
      task: defines sides and classes.
      options: of evaluation.

    Returns:
      rule -> `threshold` and `temperature` (None if the rule is not defined), and `ordinary` and
      `shifted` (mean over folds; None with too few folds), each name -> interval of `sensitivity`,
      `specificity` and `ece`.
    """
    positive = records.binary_labels(task)
    targets = class_targets(records.pathogen, task, records.box_counts)

    def fitted(rule: str, used: Sequence[TrainedFold]) -> CalibrationResult:
        pool = out_of_fold(used, positive, task) if rule == "pooled" else None
        return calibrate(predictions.logits, targets, positive, task, options, pool)

    results: dict[str, Any] = {}
    for rule in RULES:
        if rule == "pooled" and not folds:
            results[rule] = dict.fromkeys(("threshold", "temperature", "ordinary", "shifted"))
            continue
        final, shifted = fitted(rule, folds), None
        if len(folds) > (rule == "pooled"):
            parts = []
            for one in folds:
                used = fitted(rule, [other for other in folds if other is not one])
                applied = apply_calibration(one.calibrated.raw, used, task)
                parts.append(split_statistics(one.records, applied, task))
            shifted = mean_intervals(parts, [one.records.patient_id for one in folds], options)
        ordinary = intervals(split_statistics(records, final, task), records.patient_id, options)
        results[rule] = {
            "threshold": final.summary["threshold"],
            "temperature": final.summary["temperature"],
            "ordinary": {name: ordinary[name] for name in RULE_METRICS},
            "shifted": shifted and {name: shifted[name] for name in RULE_METRICS},
        }
    return results
