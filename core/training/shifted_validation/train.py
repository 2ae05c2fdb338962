"""Trains the folds of shifted validation and predicts their held-out images."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.embedding.records import ImageRecords
from core.models.classifier import feature_moments
from core.models.head import select_pooling
from core.training.calibration import CalibrationResult, apply_calibration, calibrate
from core.training.data.targets import class_targets, labeled_rows
from core.training.ensemble import Recipe, TrainedEnsemble, train_recipe
from core.training.ensemble_predictions import (
    EnsemblePredictions,
    calibrate_members,
    predict_ensemble,
    predict_images,
)
from core.training.job import Job
from core.training.loop.curves import OutputPaths
from core.training.shifted_validation.folds import Fold, SkippedFold, shifted_folds
from schema.errors import PneumoError

log = logging.getLogger("pneumo.fit")

FoldPlan = tuple[list[Fold], list[SkippedFold]]


@dataclass(frozen=True)
class TrainedFold:
    """Predictions of a model that was trained without the held-out images.

    Attributes:
      fold: which images were held out.
      records: of the scored images: the held-out ones and the validation images of the other side.
      held_out: bool [n].
      predictions: of the scored images, by one member for each recipe.
      calibrated: the same with the temperature and the operating point that were chosen on the
        remaining validation images.
      members: seed, epochs and seconds of each member.
      seconds: training and prediction, including the time before the run was resumed.
    """

    fold: Fold
    records: ImageRecords
    held_out: np.ndarray
    predictions: EnsemblePredictions
    calibrated: CalibrationResult
    members: list[dict[str, Any]]
    seconds: float


@dataclass(frozen=True)
class ShiftedValidation:
    """The folds of a training run.

    Attributes:
      trained: folds with their predictions.
      skipped: groups and sides without a fold.
      seed: of every fold.
    """

    trained: list[TrainedFold]
    skipped: list[SkippedFold]
    seed: int

    @property
    def seconds(self) -> float:
        """Seconds of all folds."""
        return round(sum(fold.seconds for fold in self.trained), 3)


def plan_folds(job: Job, train: ImageRecords, val: ImageRecords) -> FoldPlan | None:
    """Returns the folds to train and those that are skipped.

    Args:
      job: configuration.
      train: records of the training split.
      val: records of the validation split.

    Returns:
      See `shifted_folds`; None if the configuration has no shifted validation.

    Raises:
      PneumoError: the operating point is to be fitted on folds, and there are none.
    """
    options = job.evaluation.shifted_validation
    if options is None:
        return None
    folds, skipped = shifted_folds(train, val, job.task, options)
    if not folds and job.evaluation.operating_point.fit_on == "pooled":
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in skipped)
        raise PneumoError(
            "evaluation.operating_point.fit_on: pooled needs a fold of shifted validation, and "
            f"there is none ({reasons}); set fit_on: validation"
        )
    for one in skipped:
        log.warning("shifted validation without %s: %s", one.name, one.reason)
    return folds, skipped


def train_folds(
    job: Job, trained: TrainedEnsemble, plan: FoldPlan, outputs: Callable[[str], OutputPaths]
) -> ShiftedValidation:
    """Trains the recipe once for each fold, with the first seed.

    Args:
      job: configuration.
      trained: the ensemble, trained on everything; supplies both splits.
      plan: see `plan_folds`.
      outputs: name -> checkpoint and log folders.
    """
    folds, skipped = plan
    done = []
    for number, fold in enumerate(folds):
        log.info(
            "shifted validation %d of %d, %s: trains without %d images",
            number + 1,
            len(folds),
            fold.name,
            fold.held_out,
        )
        done.append(_train_fold(job, trained, fold, outputs, f"fold-{number + 1}"))
    return ShiftedValidation(done, skipped, job.training.seeds[0])


def restricted(recipe: Recipe, fold: Fold) -> Recipe:
    """Returns the recipe with the first seed only and without the held-out images."""
    job = recipe.job
    training = job.training.model_copy(update={"seeds": job.training.seeds[:1]})
    pooled = select_pooling(recipe.train.features[0], job.model.pooling)
    balanced = training.class_weight == "balanced"
    return replace(
        recipe,
        job=replace(job, training=training),
        rows=labeled_rows(recipe.train, job.task, balanced, fold.train_rows),
        val_rows=labeled_rows(recipe.val, job.task, balanced=False, selected=fold.val_rows),
        scaling=feature_moments(pooled[fold.train_rows]),
    )


def _train_fold(
    job: Job,
    trained: TrainedEnsemble,
    fold: Fold,
    outputs: Callable[[str], OutputPaths],
    name: str,
) -> TrainedFold:
    started, earlier, seed = time.monotonic(), 0.0, job.training.seeds[0]
    on_train, on_val, members = [], [], []
    step = f"validate {name}"
    for number, recipe in enumerate(trained.recipes, 1):
        paths = outputs(f"{name}-{number}" if len(trained.recipes) > 1 else name)
        done = train_recipe(restricted(recipe, fold), {seed: paths}.__getitem__)
        earlier += sum(
            curves.earlier_seconds for one in done.phases.values() for curves in one.values()
        )
        members += done.members
        if recipe.images is None:
            of_train = predict_ensemble(
                done.network, recipe.train, selected=fold.train_held_out, step=step
            )
        else:
            of_train = predict_images(done.network, recipe.images[0], fold.train_held_out, step)
        on_train.append(of_train.logits)
        on_val.append(recipe.predict_validation(done.network, step).logits)
    train_logits, val_logits = (np.concatenate(parts, axis=1) for parts in (on_train, on_val))
    train, val = trained.train.records, trained.val.records
    kept = val.take(fold.val_rows)
    targets = class_targets(kept.pathogen, job.task, kept.box_counts)
    if len(trained.recipes) > 1:
        on_kept = EnsemblePredictions.from_logits(val_logits[fold.val_rows])
        _, temperatures = calibrate_members(on_kept, targets)
        train_logits, val_logits = (
            EnsemblePredictions.from_logits(logits).scaled(temperatures).logits
            for logits in (train_logits, val_logits)
        )
    calibrated = calibrate(
        val_logits[fold.val_rows],
        targets,
        kept.binary_labels(job.task),
        job.task,
        job.evaluation,
    )
    on_val_rows = np.concatenate([fold.val_held_out, fold.other_side])
    logits = np.concatenate([train_logits, val_logits[on_val_rows]])
    predictions = EnsemblePredictions.from_logits(logits)
    return TrainedFold(
        fold,
        ImageRecords.concatenate([train.take(fold.train_held_out), val.take(on_val_rows)]),
        np.arange(len(logits)) < fold.held_out,
        predictions,
        apply_calibration(predictions.probabilities.mean(axis=1), calibrated, job.task),
        members,
        round(time.monotonic() - started + earlier, 3),
    )
