"""Results of shifted validation: the content of `shifted_validation.json`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from core.embedding.records import ImageRecords
from core.metrics.options import EvaluationOptions
from core.predictions import table
from core.training.calibration import CalibrationResult
from core.training.ensemble_predictions import EnsemblePredictions, table_columns
from core.training.job import Job
from core.training.shifted_validation.folds import SIDES
from core.training.shifted_validation.rules import rule_results
from core.training.shifted_validation.statistics import (
    intervals,
    mean_intervals,
    split_statistics,
)
from core.training.shifted_validation.train import ShiftedValidation, TrainedFold
from schema.files import json_values
from schema.labels import Task

FILE: Final = "shifted_validation.json"
PREDICTIONS: Final = table.SHIFTED


def shifted_validation_results(
    shifted: ShiftedValidation,
    records: ImageRecords,
    predictions: EnsemblePredictions,
    calibrated: CalibrationResult,
    task: Task,
    options: EvaluationOptions,
) -> dict[str, Any]:
    """Returns the metrics of each fold, their mean, and those of ordinary validation.

    Args:
      shifted: the trained folds.
      records: of the validation split.
      predictions: of the final model on the validation split.
      calibrated: the same with the operating point of the final model.
      task: defines sides and classes.
      options: column of the folds; resamples and seed of the bootstrap.

    Returns:
      JSON values: `by`, `seed`, `bootstrap`; `folds` with `name`, `group`, `side`, the numbers of
      images and patients, `threshold`, `temperature`, `seconds` and `metrics` (name -> `estimate`,
      `low`, `high`, `resamples_used`, `exact`); `skipped` with `reason`; `mean` over the folds and
      `ordinary`, each with `metrics`; `fit_on` and `rules`, see `rule_results`.
    """
    assert options.shifted_validation is not None
    folds = [split_statistics(one.records, one.calibrated, task) for one in shifted.trained]
    patients = [one.records.patient_id for one in shifted.trained]
    mean = None
    if folds:
        mean = {"folds": len(folds), "metrics": mean_intervals(folds, patients, options)}
    content: dict[str, Any] = json_values(
        {
            "by": options.shifted_validation.by,
            "seed": shifted.seed,
            "bootstrap": {"resamples": options.resamples, "seed": options.seed},
            "folds": [
                {**_description(trained), "metrics": intervals(fold, groups, options)}
                for trained, fold, groups in zip(shifted.trained, folds, patients, strict=True)
            ],
            "skipped": [asdict(one) | {"side": SIDES[one.side]} for one in shifted.skipped],
            "mean": mean,
            "ordinary": {
                "images": len(records),
                "patients": len(set(records.patient_id.tolist())),
                "threshold": calibrated.summary["threshold"],
                "temperature": calibrated.summary["temperature"],
                "metrics": intervals(
                    split_statistics(records, calibrated, task), records.patient_id, options
                ),
            },
            "fit_on": calibrated.summary["fit_on"],
            "rules": rule_results(shifted.trained, records, predictions, task, options),
        }
    )
    return content


def write_shifted_validation(
    folder: Path,
    job: Job,
    shifted: ShiftedValidation,
    records: ImageRecords,
    predictions: EnsemblePredictions,
    calibrated: CalibrationResult,
) -> None:
    """Writes `shifted_validation.json` and `shifted_predictions.parquet`.

    Args:
      folder: training record.
      job: configuration.
      shifted: see `shifted_validation_results`; so are the others.
      records: of the validation split.
      predictions: of the final model.
      calibrated: of the final model.
    """
    content = shifted_validation_results(
        shifted, records, predictions, calibrated, job.task, job.evaluation
    )
    (folder / FILE).write_text(json.dumps(content, indent=1))
    columns = (
        {
            **table_columns(one.records, one.predictions, one.calibrated, job.task),
            "fold": [number] * len(one.records),
            "held_out": one.held_out.tolist(),
        }
        for number, one in enumerate(shifted.trained)
    )
    table.write(folder / PREDICTIONS, columns, folds=True)


def _description(trained: TrainedFold) -> dict[str, Any]:
    fold, held_out, patients = trained.fold, trained.held_out, trained.records.patient_id
    return {
        "name": fold.name,
        "group": fold.group,
        "side": SIDES[fold.side],
        "images": {
            "held_out": fold.held_out,
            "held_out_of_training": len(fold.train_held_out),
            "other_side": len(fold.other_side),
            "training": len(fold.train_rows),
            "validation": len(fold.val_rows),
        },
        "patients": {
            "held_out": len(set(patients[held_out].tolist())),
            "other_side": len(set(patients[~held_out].tolist())),
        },
        "threshold": trained.calibrated.summary["threshold"],
        "temperature": trained.calibrated.summary["temperature"],
        "members": trained.members,
        "seconds": trained.seconds,
    }
