"""Trains the ensemble: one head per seed, with fine-tuned backbone blocks if configured."""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.embed import SAMPLE_IMAGES_FILE
from core.embedding.store import Embeddings, read_embeddings
from core.models.classifier import EnsembleMember, feature_moments
from core.models.head import select_pooling
from core.training.classifier.fine_tuning import fine_tune
from core.training.classifier.head_phase import fit_head
from core.training.data.image_training_data import (
    RecordFile,
    copy_records,
    embed_images,
    image_training_data,
)
from core.training.data.targets import labeled_rows
from core.training.fingerprint import checkpoint_folder
from core.training.job import Job
from core.training.loop.batches import TrainingData, data_from_rows
from core.training.loop.compute_dtype import resolve_compute_dtype
from core.training.loop.curves import OutputPaths, TrainingCurves

if TYPE_CHECKING:
    import keras
    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.fit")


@dataclass(frozen=True)
class TrainedEnsemble:
    """Trained ensemble members and the data that they were trained on.

    Attributes:
      train: embeddings of the training split.
      val: embeddings of the validation split.
      lower: the frozen part of the backbone, shared by all members.
      members: one for each seed.
      summary: content of `training.json`.
      phases: seed -> phase -> curves.
    """

    train: Embeddings
    val: Embeddings
    lower: "keras.Model"
    members: list[EnsembleMember]
    summary: dict[str, Any]
    phases: dict[int, dict[str, TrainingCurves]]


def train_ensemble(job: Job, scratch: Path, folder: Path, fn_args: "FnArgs") -> TrainedEnsemble:
    """Trains one ensemble member for each seed.

    Args:
      job: configuration.
      scratch: temporary folder for copies of images and their embeddings.
      folder: training record; TensorBoard logs are written below it.
      fn_args: names the files of both splits.
    """
    options = job.training
    tune = options.fine_tune
    if tune is not None:
        tune = tune.model_copy(update={"compute": resolve_compute_dtype(tune.compute)})
        log.info("fine-tuning computes in %s", tune.compute)
    files = fn_args.train_files, fn_args.eval_files
    stores: tuple[RecordFile, RecordFile] | None = None
    if job.training.from_images:
        stores = (
            copy_records(files[0], scratch / "train.images"),
            copy_records(files[1], scratch / "val.images"),
        )
        train, val = embed_images(job, *files, scratch)
    else:
        train, val = (read_embeddings(Path(patterns[0]).parent) for patterns in files)
    rows = labeled_rows(train, job.task, options.class_weight == "balanced")
    val_rows = labeled_rows(val, job.task, balanced=False)
    scaling = feature_moments(select_pooling(train.features[0], job.model.pooling))
    samples = Path(files[0][0]).parent / SAMPLE_IMAGES_FILE
    if samples.is_file():
        _log_images(folder / "tensorboard", "images and their views", np.load(samples))

    def batches(seed: int, batch_size: int) -> TrainingData:
        if stores is not None:
            return image_training_data(job, seed, *stores, rows, val_rows)
        at_layer = replace(rows, views=train.maps)
        return data_from_rows(at_layer, replace(val_rows, views=val.maps), seed, batch_size)

    members: list[EnsembleMember] = []
    summaries: list[dict[str, Any]] = []
    phases: dict[int, dict[str, TrainingCurves]] = {}
    for seed in options.seeds:
        outputs = output_paths(job, folder, fn_args, seed)
        started, upper = time.monotonic(), None
        head, curves = fit_head(
            rows, val_rows, scaling, job.task, job.model, options, seed, outputs
        )
        phases[seed], seconds = {"head": curves}, {"head": _seconds(started, curves)}
        if tune is not None:
            started = time.monotonic()
            upper, head, curves = fine_tune(
                job.backbone,
                head,
                batches(seed, tune.batch_size),
                job.model.pooling,
                tune,
                options,
                seed,
                outputs,
            )
            phases[seed]["fine_tune"] = curves
            seconds["fine_tune"] = _seconds(started, curves)
        members.append(EnsembleMember(head, upper))
        summaries.append(
            {
                "seed": seed,
                "epochs": len(curves),
                "best_epoch": curves.best_epoch,
                "seconds": seconds,
            }
        )
    lower, _ = job.backbone.split()
    spent = {"embed": train.metadata["seconds"] + val.metadata["seconds"]}
    for name, phase in (("fit", "head"), ("fine_tune", "fine_tune")):
        spent[name] = round(sum(member["seconds"].get(phase, 0.0) for member in summaries), 3)
    return TrainedEnsemble(
        train,
        val,
        lower,
        members,
        {"members": summaries, "seconds": spent, "compute": tune.compute if tune else None},
        phases,
    )


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


def output_paths(job: Job, folder: Path, fn_args: "FnArgs", seed: int) -> OutputPaths:
    """Returns the folders that a member writes to while it is trained."""
    return OutputPaths(checkpoint_folder(job, fn_args), folder / "tensorboard" / f"seed-{seed}")
