"""The members of the ensemble: a head for each seed, and blocks of the backbone if configured."""

import glob
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.embedding.embed import SAMPLES
from core.embedding.store import Embeddings, read
from core.models.classifier import EnsembleMember, feature_moments
from core.models.head import select_pooling
from core.training.fine_tuning import fine_tune
from core.training.head_phase import fit_head
from core.training.image_training_data import (
    RecordFile,
    copy_records,
    embed_images,
    image_training_data,
)
from core.training.job import Job, labeled_rows
from core.training.loop.batches import TrainingData, data_from_rows
from core.training.loop.compute_dtype import resolved
from core.training.loop.curves import OutputPaths, TrainingCurves
from schema.storage import join

if TYPE_CHECKING:
    import keras
    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.fit")

_END: Final = 2**16  # bytes


@dataclass(frozen=True)
class TrainedEnsemble:
    """What the members learned from, and the result.

    Attributes:
      train: embeddings.
      val: likewise.
      lower: the members' backbone, below the layer.
      members: one for each seed.
      facts: for `training.json`.
      phases: seed -> phase -> curves.
    """

    train: Embeddings
    val: Embeddings
    lower: "keras.Model"
    members: list[EnsembleMember]
    facts: dict[str, Any]
    phases: dict[int, dict[str, TrainingCurves]]


def train_ensemble(job: Job, scratch: Path, folder: Path, fn_args: "FnArgs") -> TrainedEnsemble:
    """Trains one member for each seed.

    Args:
      job: what to train.
      scratch: folder for copies of images and their embeddings; may go afterwards.
      folder: of the training record; takes TensorBoard logs.
      fn_args: files of both splits.
    """
    options = job.training
    tune = options.fine_tune
    if tune is not None:
        tune = tune.model_copy(update={"compute": resolved(tune.compute)})
        log.info("fine-tuning computes in %s", tune.compute)
    files = fn_args.train_files, fn_args.eval_files
    stores: tuple[RecordFile, RecordFile] | None = None
    if job.from_images:
        stores = (
            copy_records(files[0], scratch / "train.images"),
            copy_records(files[1], scratch / "val.images"),
        )
        train, val = embed_images(job, *files, scratch)
    else:
        train, val = (read(Path(of[0]).parent) for of in files)
    rows = labeled_rows(train, job.task, options.class_weight == "balanced")
    val_rows = labeled_rows(val, job.task, balanced=False)
    scaling = feature_moments(select_pooling(train.features[0], job.model.pooling))
    samples = Path(files[0][0]).parent / SAMPLES
    if samples.is_file():
        _log_images(folder / "tensorboard", "images and their views", np.load(samples))

    def batches(seed: int, batch_size: int) -> TrainingData:
        if stores is not None:
            return image_training_data(job, seed, *stores, rows, val_rows)
        at_layer = replace(rows, views=train.maps)
        return data_from_rows(at_layer, replace(val_rows, views=val.maps), seed, batch_size)

    members: list[EnsembleMember] = []
    facts: list[dict[str, Any]] = []
    phases: dict[int, dict[str, TrainingCurves]] = {}
    for seed in options.seeds:
        outputs = output_paths(job, folder, fn_args, seed)
        started, upper = time.monotonic(), None
        head, last = fit_head(rows, val_rows, scaling, job.task, job.model, options, seed, outputs)
        phases[seed], seconds = {"head": last}, {"head": _seconds(started, last)}
        if tune is not None:
            started = time.monotonic()
            upper, head, last = fine_tune(
                job.backbone,
                head,
                batches(seed, tune.batch_size),
                job.model.pooling,
                tune,
                options,
                seed,
                outputs,
            )
            phases[seed]["fine_tune"], seconds["fine_tune"] = last, _seconds(started, last)
        members.append(EnsembleMember(head, upper))
        facts.append(
            {
                "seed": seed,
                "epochs": len(last),
                "best_epoch": last.best_epoch,
                "seconds": seconds,
            }
        )
    lower, _ = job.backbone.split()
    spent = {"embed": train.facts["seconds"] + val.facts["seconds"]}
    for name, phase in (("fit", "head"), ("fine_tune", "fine_tune")):
        spent[name] = round(sum(member["seconds"].get(phase, 0.0) for member in facts), 3)
    return TrainedEnsemble(
        train,
        val,
        lower,
        members,
        {"members": facts, "seconds": spent, "compute": tune.compute if tune else None},
        phases,
    )


def _seconds(since: float, curves: TrainingCurves) -> float:
    """Returns seconds, with those of processes that were killed."""
    return round(time.monotonic() - since + curves.earlier, 3)


def _log_images(folder: Path, name: str, images: np.ndarray) -> None:
    """Writes images, uint8 [n, s, s, 1], for TensorBoard."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        tf.summary.image(name, images, max_outputs=len(images))
    writer.close()


def output_paths(job: Job, folder: Path, fn_args: "FnArgs", seed: int) -> OutputPaths:
    """Returns where a member writes."""
    return OutputPaths(checkpoint_folder(job, fn_args), folder / "tensorboard" / f"seed-{seed}")


def checkpoint_folder(job: Job, fn_args: "FnArgs") -> str:
    """Returns the checkpoint folder of this training run; it is deleted on success."""
    return join(job.checkpoints, fingerprint(fn_args))


def fingerprint(fn_args: "FnArgs") -> str:
    """Names the checkpoints of a training run by its inputs and every option that changes it.

    Not by where the inputs lie: a run resumes where they were copied to another folder.
    """
    config = {k: v for k, v in fn_args.custom_config.items() if k != "checkpoints"}
    # The digest of the weights identifies them; their path and the options of the model do not.
    config["weights"] = {k: v for k, v in config["weights"].items() if k != "file"}
    parts = [
        _contents(fn_args.train_files),
        _contents(fn_args.eval_files),
        config,
        fn_args.hyperparameters,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _contents(patterns: Sequence[str]) -> list[tuple[str, int, str]]:
    """Returns name, bytes, and digest of both ends of each file."""
    found = []
    for pattern in patterns:
        for path in sorted(map(Path, glob.glob(pattern))):  # noqa: PTH207  an absolute pattern
            if not path.is_file():
                continue
            size = path.stat().st_size
            with path.open("rb") as file:
                ends = file.read(_END)
                file.seek(max(0, size - _END))
                ends += file.read(_END)
            found.append((path.name, size, hashlib.sha256(ends).hexdigest()))
    return found
