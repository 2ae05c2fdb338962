"""Results of shifted validation: the content of `shifted_validation.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.embedding.records import ImageRecords
from core.metrics.binary import binary_statistics
from core.metrics.bootstrap import Statistics, clustered_bootstrap
from core.metrics.multiclass import class_statistics
from core.metrics.operating_point import predicted_class
from core.metrics.options import EvaluationOptions
from core.metrics.registry import SHIFTED
from core.predictions import table
from core.training.calibration import CalibrationResult
from core.training.ensemble_predictions import table_columns
from core.training.shifted_validation.folds import SIDES
from core.training.shifted_validation.train import ShiftedValidation, TrainedFold
from schema.files import json_values
from schema.labels import Task

FILE: Final = "shifted_validation.json"
PREDICTIONS: Final = "shifted_predictions.parquet"
# Of tasks with more than two classes.
CLASS_METRICS: Final = ("class_accuracy",)


def shifted_validation_results(
    shifted: ShiftedValidation,
    records: ImageRecords,
    calibrated: CalibrationResult,
    task: Task,
    options: EvaluationOptions,
) -> dict[str, Any]:
    """Returns the metrics of each fold, their mean, and those of ordinary validation.

    Args:
      shifted: the trained folds.
      records: of the validation split.
      calibrated: predictions of the final model on the validation split.
      task: defines sides and classes.
      options: column of the folds; resamples and seed of the bootstrap.

    Returns:
      JSON values: `by`, `seed`, `bootstrap`; `folds` with `name`, `group`, `side`, the numbers of
      images and patients, `threshold`, `temperature`, `seconds` and `metrics` (name -> `estimate`,
      `low`, `high`, `resamples_used`, `exact`); `skipped` with `reason`; `mean` over the folds and
      `ordinary`, each with `metrics`.
    """
    assert options.shifted_validation is not None
    folds = [
        (_statistics(one.records, one.calibrated, task), one.records.patient_id)
        for one in shifted.trained
    ]
    ordinary = _statistics(records, calibrated, task)

    def intervals(
        statistics: tuple[Statistics, Mapping[str, np.ndarray]], patients: np.ndarray
    ) -> dict[str, Any]:
        values = clustered_bootstrap(
            statistics[0],
            patients,
            shares=statistics[1],
            resamples=options.resamples,
            seed=options.seed,
        )
        return {name: asdict(value) for name, value in values.items()}

    mean = None
    if folds:
        patients = np.concatenate([patients for _, patients in folds])
        mean = {
            "folds": len(folds),
            "metrics": intervals(
                mean_statistics([statistics for statistics, _ in folds]), patients
            ),
        }
    content: dict[str, Any] = json_values(
        {
            "by": options.shifted_validation.by,
            "seed": shifted.seed,
            "bootstrap": {"resamples": options.resamples, "seed": options.seed},
            "folds": [
                {**_description(trained), "metrics": intervals(*fold)}
                for trained, fold in zip(shifted.trained, folds, strict=True)
            ],
            "skipped": [asdict(one) | {"side": SIDES[one.side]} for one in shifted.skipped],
            "mean": mean,
            "ordinary": {
                "images": len(records),
                "patients": len(set(records.patient_id.tolist())),
                "threshold": calibrated.summary["threshold"],
                "temperature": calibrated.summary["temperature"],
                "metrics": intervals(ordinary, records.patient_id),
            },
        }
    )
    return content


def write_shifted_validation(
    folder: Path,
    shifted: ShiftedValidation,
    records: ImageRecords,
    calibrated: CalibrationResult,
    task: Task,
    options: EvaluationOptions,
) -> None:
    """Writes `shifted_validation.json` and `shifted_predictions.parquet`.

    Args:
      folder: training record.
      shifted: see `shifted_validation_results`; so are the others.
      records: of the validation split.
      calibrated: of the final model.
      task: defines sides and classes.
      options: of evaluation.
    """
    content = shifted_validation_results(shifted, records, calibrated, task, options)
    (folder / FILE).write_text(json.dumps(content, indent=1))
    columns = (
        {
            **table_columns(one.records, one.predictions, one.calibrated, task),
            "fold": [number] * len(one.records),
            "held_out": one.held_out.tolist(),
        }
        for number, one in enumerate(shifted.trained)
    )
    table.write(folder / PREDICTIONS, columns, folds=True)


def mean_statistics(
    parts: Sequence[tuple[Statistics, Mapping[str, np.ndarray]]],
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the mean of the metrics of several sets of images, as a function of weights.

    The same patient may occur in several sets; its images have the same weight in all of them.

    Args:
      parts: for each set, what `binary_statistics` returns.

    Returns:
      A function of weights [r, n], n the images of all sets one after the other; and name ->
      bool [n], the images in the denominator of each proportion.
    """
    sizes = [len(next(iter(shares.values()))) for _, shares in parts]
    ends = np.cumsum(sizes)

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        values = [
            one(w[:, end - size : end])
            for (one, _), size, end in zip(parts, sizes, ends, strict=True)
        ]
        return {name: np.mean([value[name] for value in values], axis=0) for name in values[0]}

    shares = {name: np.concatenate([one[name] for _, one in parts]) for name in parts[0][1]}
    return statistics, shares


def _statistics(
    records: ImageRecords, calibrated: CalibrationResult, task: Task
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the binary metrics and, for more than two classes, those of the classes."""
    positive, labels = records.binary_labels(task), records.class_labels(task)
    known, certain = np.flatnonzero(positive >= 0), np.flatnonzero(labels >= 0)
    threshold = calibrated.summary["threshold"]
    of_score, score_shares = binary_statistics(positive[known], calibrated.score[known], threshold)
    parts: list[Any] = [(of_score, score_shares, known, (*SHIFTED, "ece"))]
    if len(task.classes) > 2:
        probabilities, score = calibrated.probabilities[certain], calibrated.score[certain]
        of_classes, class_shares = class_statistics(
            labels[certain],
            probabilities,
            task.classes,
            predicted=predicted_class(probabilities, score, task.positive, threshold),
        )
        parts.append((of_classes, class_shares, certain, CLASS_METRICS))

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        values: dict[str, np.ndarray] = {}
        for function, _, rows, names in parts:
            computed = function(w[:, rows])
            values |= {name: np.asarray(computed[name]) for name in names}
        return values

    shares = {}
    for _, counted, rows, names in parts:
        for name in set(names) & counted.keys():
            shares[name] = np.zeros(len(records), bool)
            shares[name][rows] = counted[name]
    return statistics, shares


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
