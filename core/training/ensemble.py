"""Trains the ensemble: one head per seed, with fine-tuned backbone blocks if configured."""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.embed import SAMPLE_IMAGES_FILE
from core.embedding.store import Embeddings, read_embeddings
from core.models.classifier import ClassifierNetwork, EnsembleMember, feature_moments
from core.models.head import select_pooling
from core.models.views import prediction_views
from core.training.classifier.fine_tuning import fine_tune
from core.training.classifier.head_phase import fit_head
from core.training.data.image_training_data import (
    RecordFile,
    copy_records,
    embed_images,
    image_training_data,
)
from core.training.data.targets import labeled_rows
from core.training.data.teacher import add_teacher, teacher_probabilities
from core.training.ensemble_predictions import (
    EnsemblePredictions,
    calibrate_members,
    predict_ensemble,
)
from core.training.fingerprint import output_paths
from core.training.job import Job
from core.training.loop.batches import LabeledRows, TrainingData, data_from_rows
from core.training.loop.compute_dtype import resolve_compute_dtype
from core.training.loop.curves import OutputPaths, TrainingCurves
from core.training.options import FineTuneOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.fit")


@dataclass(frozen=True)
class Recipe:
    """A network to train, and its data.

    To train the same recipe on some rows only, replace `rows`, `val_rows` and `scaling`.

    Attributes:
      job: backbone, layer and options.
      train: embeddings of the training split.
      val: embeddings of the validation split.
      rows: targets and weights of the training split.
      val_rows: targets and weights of the validation split.
      scaling: mean and standard deviation of the pooled training features.
      images: images of both splits; None if training reads the embeddings only.
    """

    job: Job
    train: Embeddings
    val: Embeddings
    rows: LabeledRows
    val_rows: LabeledRows
    scaling: tuple[np.ndarray, np.ndarray]
    images: tuple[RecordFile, RecordFile] | None

    def batches(self, seed: int, tune: FineTuneOptions) -> TrainingData:
        """Returns the batches of fine-tuning."""
        if self.images is not None:
            return image_training_data(self.job, seed, *self.images, self.rows, self.val_rows)
        at_layer = replace(self.rows, views=self.train.maps)
        val_at_layer = replace(self.val_rows, views=self.val.maps)
        return data_from_rows(at_layer, val_at_layer, seed, tune.batch_size)

    def predict_validation(
        self, network: ClassifierNetwork, step: str = "validate"
    ) -> EnsemblePredictions:
        """Predicts the validation split as the exported network does, from what is stored."""
        images = self.images[1] if self.images is not None else None
        return predict_ensemble(network, self.val, step=step, images=images)


@dataclass(frozen=True)
class TrainedRecipe:
    """The members of one recipe.

    Attributes:
      network: one member for each seed.
      members: backbone, seed, epochs and seconds of each, as in `training.json`.
      phases: seed -> phase -> curves.
    """

    network: ClassifierNetwork
    members: list[dict[str, Any]]
    phases: dict[int, dict[str, TrainingCurves]]


@dataclass(frozen=True)
class TrainedEnsemble:
    """Trained ensemble members and the data that they were trained on.

    Attributes:
      train: embeddings of the training split.
      val: embeddings of the validation split.
      recipes: configurations and data that the members were trained with; one for each of
        `model.members`, or one.
      network: one member for each recipe and seed.
      predictions: of the network on the validation split.
      summary: content of `training.json`.
      phases: seed, after the name of several recipes -> phase -> curves.
    """

    train: Embeddings
    val: Embeddings
    recipes: tuple[Recipe, ...]
    network: ClassifierNetwork
    predictions: EnsemblePredictions
    summary: dict[str, Any]
    phases: dict[str, dict[str, TrainingCurves]]

    @property
    def described_members(self) -> list[dict[str, Any]]:
        """Backbone, seed and temperature of each member."""
        names = ("backbone", "seed", "temperature")
        return [{name: one.get(name) for name in names} for one in self.summary["members"]]


def train_ensemble(
    job: Job, recipes: dict[str, Recipe], folder: Path, fn_args: "FnArgs"
) -> TrainedEnsemble:
    """Trains one ensemble member for each recipe and seed.

    The members of several recipes are calibrated, see `calibrate_members`.

    Args:
      job: configuration.
      recipes: see `load_recipes`.
      folder: training record; TensorBoard logs are written below it.
      fn_args: names the files of both splits.
    """
    samples = Path(fn_args.train_files[0]).parent / SAMPLE_IMAGES_FILE
    if samples.is_file():
        _log_images(folder / "tensorboard", "images and their views", np.load(samples))
    first = next(iter(recipes.values()))
    members: list[EnsembleMember] = []
    summaries: list[dict[str, Any]] = []
    logits: list[np.ndarray] = []
    phases: dict[str, dict[str, TrainingCurves]] = {}
    spent = {"embed": 0.0, "fit": 0.0, "fine_tune": 0.0}
    for name, recipe in recipes.items():
        if notice := recipe.job.weights.notice(recipe.job.model.backbone):
            log.warning(notice)
        trained = train_recipe(recipe, output_paths(job, folder, fn_args, name))
        members += trained.network.members
        summaries += trained.members
        logits.append(recipe.predict_validation(trained.network).logits)
        phases |= {f"{name}-{seed}".lstrip("-"): one for seed, one in trained.phases.items()}
        spent["embed"] += recipe.train.metadata["seconds"] + recipe.val.metadata["seconds"]
        for phase, key in (("head", "fit"), ("fine_tune", "fine_tune")):
            spent[key] += sum(one["seconds"].get(phase, 0.0) for one in trained.members)
    network = replace(trained.network, members=tuple(members))
    predictions = EnsemblePredictions.from_logits(np.concatenate(logits, axis=1))
    if len(recipes) > 1:
        predictions, temperatures = calibrate_members(
            predictions, first.val_rows.targets[:, : len(job.task.classes)]
        )
        network = network.with_temperatures(temperatures)
        for one, temperature in zip(summaries, temperatures, strict=True):
            one["temperature"] = temperature
    tune = job.training.fine_tune
    summary = {
        "members": summaries,
        "seconds": {name: round(seconds, 3) for name, seconds in spent.items()},
        "compute": resolve_compute_dtype(tune.compute) if tune else None,
    }
    return TrainedEnsemble(
        first.train, first.val, tuple(recipes.values()), network, predictions, summary, phases
    )


def load_recipes(job: Job, scratch: Path, fn_args: "FnArgs") -> dict[str, Recipe]:
    """Reads the data of each recipe; embeds the images if training reads images.

    Args:
      job: configuration, see `Job.networks`.
      scratch: temporary folder for copies of images and their embeddings.
      fn_args: names the files of both splits.
    """
    files = fn_args.train_files, fn_args.eval_files
    images: tuple[RecordFile, RecordFile] | None = None
    if job.training.from_images:
        images = (
            copy_records(files[0], scratch / "train.images"),
            copy_records(files[1], scratch / "val.images"),
        )
    recipes, teacher = {}, teacher_probabilities(job, images[0] if images else None)
    for name, network in job.networks().items():
        if images is not None:
            train, val = embed_images(network, *files, scratch / name)
        else:
            train, val = (read_embeddings(Path(patterns[0]).parent) for patterns in files)
        rows = labeled_rows(train, job.task, job.training.class_weight == "balanced")
        rows, val_rows = add_teacher(rows, labeled_rows(val, job.task, balanced=False), teacher)
        scaling = feature_moments(select_pooling(train.features[0], job.model.pooling))
        recipes[name] = Recipe(network, train, val, rows, val_rows, scaling, images)
    return recipes


def train_recipe(recipe: Recipe, outputs: "Callable[[int], OutputPaths]") -> TrainedRecipe:
    """Trains one member for each seed.

    Args:
      recipe: configuration and data.
      outputs: seed -> checkpoint and log folders.
    """
    job, options = recipe.job, recipe.job.training
    tune = options.fine_tune
    if tune is not None:
        tune = tune.model_copy(update={"compute": resolve_compute_dtype(tune.compute)})
        log.info("fine-tuning computes in %s", tune.compute)
    lower, _ = job.backbone.split()
    members: list[EnsembleMember] = []
    summaries: list[dict[str, Any]] = []
    phases: dict[int, dict[str, TrainingCurves]] = {}
    for seed in options.seeds:
        output = outputs(seed)
        started, upper = time.monotonic(), None
        head, curves = fit_head(
            recipe.rows, recipe.val_rows, recipe.scaling, job.task, job.model, options, seed, output
        )
        phases[seed], seconds = {"head": curves}, {"head": _seconds(started, curves)}
        if tune is not None:
            started = time.monotonic()
            upper, head, curves = fine_tune(
                job.backbone,
                head,
                recipe.batches(seed, tune),
                job.model.pooling,
                tune,
                options,
                seed,
                output,
            )
            phases[seed]["fine_tune"] = curves
            seconds["fine_tune"] = _seconds(started, curves)
        members.append(EnsembleMember(lower, head, upper))
        summaries.append(
            {
                "backbone": job.model.backbone,
                "seed": seed,
                "epochs": len(curves),
                "best_epoch": curves.best_epoch,
                "seconds": seconds,
            }
        )
    views = prediction_views(job.model.test_time_augmentation)
    network = ClassifierNetwork(tuple(members), job.model.pooling, views)
    return TrainedRecipe(network, summaries, phases)


def _seconds(since: float, curves: TrainingCurves) -> float:
    """Returns the duration, including the time before the run was resumed."""
    return round(time.monotonic() - since + curves.earlier_seconds, 3)


def _log_images(folder: Path, name: str, images: np.ndarray) -> None:
    """Logs images, uint8 [n, s, s, 1], to TensorBoard."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        tf.summary.image(name, images, max_outputs=len(images))
    writer.close()
