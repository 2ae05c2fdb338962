"""Results of shifted validation of a model of known skill, as the Trainer writes them."""

from typing import Any

import numpy as np

from core.embedding.records import ImageRecords
from core.metrics.options import EvaluationOptions
from core.training.calibration import apply_calibration, calibrate
from core.training.data.targets import class_targets
from core.training.ensemble_predictions import EnsemblePredictions
from core.training.shifted_validation.folds import shifted_folds
from core.training.shifted_validation.results import shifted_validation_results
from core.training.shifted_validation.train import ShiftedValidation, TrainedFold
from schema.labels import Task

OPTIONS = EvaluationOptions(shifted_validation={"by": "source"}, resamples=100)


def records(n: int, seed: int) -> ImageRecords:
    """Returns records of two sources; every third image is normal, every patient has two images."""
    names = np.array([f"{seed}-{i}" for i in range(n)])
    patient = np.array([f"{seed}-{i // 2}" for i in range(n)])
    pathogen = np.array(["normal", "bacteria", "virus"])[np.arange(n) % 3]
    source = np.where(np.arange(n) % 4 < 2, "A", "B")
    size = np.full(n, 32)
    return ImageRecords(
        names, names, patient, pathogen, source, size, size, np.zeros(n, np.float32)
    )


def logits_of(split: ImageRecords, task: Task, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    targets = class_targets(split.pathogen, task)
    return rng.normal(size=(len(split), 1, len(task.classes))) + 1.5 * targets[:, None]


def fitted(split: ImageRecords, task: Task, options: EvaluationOptions = OPTIONS) -> Any:
    targets, labels = class_targets(split.pathogen, task), split.binary_labels(task)
    return calibrate(logits_of(split, task), targets, labels, task, options)


def trained_folds(
    task: Task, options: EvaluationOptions = OPTIONS
) -> tuple[list[TrainedFold], ImageRecords]:
    """Returns folds and the records of validation."""
    train, val = records(240, 1), records(120, 2)
    assert options.shifted_validation is not None
    folds, _ = shifted_folds(train, val, task, options.shifted_validation)
    trained = []
    for fold in folds:
        on_val = np.concatenate([fold.val_held_out, fold.other_side])
        scored = ImageRecords.concatenate([train.take(fold.train_held_out), val.take(on_val)])
        predictions = EnsemblePredictions.from_logits(logits_of(scored, task, 7))
        trained.append(
            TrainedFold(
                fold,
                scored,
                np.arange(len(scored)) < fold.held_out,
                predictions,
                apply_calibration(
                    predictions.probabilities.mean(axis=1),
                    fitted(val.take(fold.val_rows), task, options),
                    task,
                ),
                [{"seed": 0, "best_epoch": 4}],
                1.0,
            )
        )
    return trained, val


def results(task: Task, options: EvaluationOptions = OPTIONS) -> dict[str, Any]:
    trained, val = trained_folds(task, options)
    shifted = ShiftedValidation(trained, [], 0)
    predictions = EnsemblePredictions.from_logits(logits_of(val, task))
    return shifted_validation_results(
        shifted, val, predictions, fitted(val, task, options), task, options
    )
