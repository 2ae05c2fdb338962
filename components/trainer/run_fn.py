"""Entry point of the Trainer: trains the ensemble, calibrates on validation, exports the model."""

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from components.trainer.export import export_model
from components.trainer.validation import CalibratedValidation, calibrate_validation
from core.training.ensemble import TrainedEnsemble, load_recipes, train_ensemble
from core.training.ensemble_predictions import write_predictions
from core.training.fingerprint import checkpoint_folder, fold_paths, output_paths
from core.training.job import Job, tuned_values
from core.training.loop.curves import write_histories
from core.training.options import TrainerOptions
from core.training.shifted_validation.results import write_shifted_validation
from core.training.shifted_validation.train import ShiftedValidation, plan_folds, train_folds
from core.training.summary import (
    add_member_metrics,
    member_correlation,
    model_summary,
    training_summary,
)
from schema import storage

if TYPE_CHECKING:
    from tfx.v1.components import FnArgs

    from core.training.detector.phase import TrainedDetectors


def run_fn(fn_args: "FnArgs") -> None:
    """Trains the model, writes the SavedModel and the training record.

    Args:
      fn_args: `custom_config` is a `TrainerOptions`. The SavedModel goes to
        `serving_model_dir`; curves, validation predictions, TensorBoard logs and `training.json`
        go to `model_run_dir`.
    """
    started = time.monotonic()
    options = TrainerOptions.model_validate(fn_args.custom_config)
    job = Job.resolve(options, tuned_values(fn_args.hyperparameters))
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        recipes = load_recipes(job, scratch, fn_args)
        first = next(iter(recipes.values()))
        # Before the long training, because it can fail.
        plan = plan_folds(job, first.train.records, first.val.records)
        trained = train_ensemble(job, recipes, folder, fn_args)
        detectors = None
        if job.task.located:
            detectors = _train_detectors(job, trained, scratch, folder, fn_args)
        shifted = plan and train_folds(
            job, trained, plan, lambda name: fold_paths(job, folder, fn_args, name)
        )
        validation = calibrate_validation(job, trained.predictions, detectors, trained.val, shifted)
        _write_record(folder, job, trained, validation, shifted)
    export_model(job, trained, validation, fn_args)
    trained.summary["seconds"]["all"] = round(time.monotonic() - started, 3)
    (folder / "training.json").write_text(json.dumps(trained.summary, indent=1))
    storage.remove(checkpoint_folder(job, fn_args))


def _train_detectors(
    job: Job,
    trained: TrainedEnsemble,
    scratch: Path,
    folder: Path,
    fn_args: "FnArgs",
) -> "TrainedDetectors":
    """Trains the dense heads of a detection task; adds their curves to each seed's phases."""
    from core.training.detector.phase import fit_detectors

    paths = output_paths(job, folder, fn_args)
    outputs = {seed: paths(seed) for seed in job.training.seeds}
    detectors = fit_detectors(job, trained.network, trained.train, trained.val, scratch, outputs)
    for seed, curves in detectors.curves.items():
        trained.phases[str(seed)]["detector"] = curves
    return detectors


def _write_record(
    folder: Path,
    job: Job,
    trained: TrainedEnsemble,
    validation: CalibratedValidation,
    shifted: ShiftedValidation | None,
) -> None:
    """Writes curves, validation predictions and the model summary; completes `trained.summary`."""
    predictions, detector = validation.predictions, validation.detector
    if detector is not None:
        trained.summary["detector"] = detector.summary
        trained.summary["seconds"]["detector"] = detector.summary["seconds"]
    if shifted is not None:
        write_shifted_validation(
            folder, job, shifted, trained.val.records, predictions, validation.calibrated
        )
        trained.summary["seconds"]["shifted_validation"] = shifted.seconds
    write_histories(folder, trained.phases)
    write_predictions(
        folder / "val_predictions.parquet",
        trained.val.records,
        predictions,
        validation.calibrated,
        job.task,
        {"boxes": detector.boxes, "box_scores": detector.scores} if detector else None,
    )
    add_member_metrics(
        trained.summary["members"],
        predictions,
        validation.positive,
        validation.targets,
        job.task,
    )
    trained.summary["log_odds_correlation"] = member_correlation(predictions, job.task)
    trained.summary.update(
        training_summary(job, trained.train, trained.val, trained.network, validation.calibrated)
    )
    (folder / "model_summary.txt").write_text(model_summary(trained.network))
