"""Predictions of a teacher, which a network learns besides the labels (Hinton et al., 2015)."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.metrics.calibration import log_probabilities, softmax
from core.progress import ProgressReporter
from core.training.data.image_training_data import RecordFile
from core.training.job import Job
from core.training.loop.batches import LabeledRows
from core.training.options import DistillOptions
from schema import features as f
from schema.errors import PneumoError
from schema.files import sha256_of_file
from schema.labels import Task
from schema.model_folder import GRAPH, load_saved_model, newest_version, read_model_info

log = logging.getLogger("pneumo.fit")

_BATCH: Final = 32


@dataclass(frozen=True)
class Teacher:
    """A SavedModel of this project.

    Attributes:
      folder: of the SavedModel.
      sha256: digest of its weights.
      info: its metadata, see `schema.model_folder.read_model_info`.
    """

    folder: Path
    sha256: str
    info: dict[str, Any]


def find_teacher(options: DistillOptions, task: Task, size: int, fit: str) -> Teacher:
    """Returns the teacher.

    Args:
      options: names its folder.
      task: of the student.
      size: image side of the student, pixels.
      fit: how an image becomes a square for the student.

    Raises:
      PneumoError: there is no such model, or its classes, image size or fit differ.
    """
    given = Path(options.teacher).expanduser()
    folder = given if (given / GRAPH).is_file() else newest_version(given)
    if folder is None or not (folder / GRAPH).is_file():
        raise PneumoError(
            f"training.distill.teacher: {given} contains no SavedModel and no version of one; give "
            "the folder that `pneumo run` printed as model"
        )
    info = read_model_info(folder)
    expected = {
        "classes": list(task.classes),
        "positive": [task.classes[i] for i in task.positive],
        "image_size": size,
        "fit": fit,
    }
    for name, value in expected.items():
        if info.get(name) != value:
            raise PneumoError(
                f"training.distill.teacher: {folder} has {name} {info.get(name)}, and this "
                f"configuration {value}; they must be equal"
            )
    files = sorted((folder / "variables").glob("variables.data-*"))
    digest = hashlib.sha256("".join(map(sha256_of_file, files)).encode()).hexdigest()
    return Teacher(folder, digest, info)


def images_digest(sha256: Iterable[str]) -> str:
    """Returns a digest of the images of a split that does not depend on their order."""
    return hashlib.sha256("".join(sorted(sha256)).encode()).hexdigest()


def teacher_probabilities(job: Job, images: RecordFile | None) -> np.ndarray | None:
    """Predicts the training images, which are not augmented, with the teacher.

    Warns if the teacher was not trained on the same images: it may then have learned from images of
    the student's validation and test splits.

    Args:
      job: names the teacher.
      images: of the training split.

    Returns:
      float32 [n, classes], calibrated and softened with the temperature of distillation; None
      without distillation.

    Raises:
      PneumoError: the teacher is missing or does not fit, or rejects an image.
    """
    options = job.training.distill
    if options is None:
        return None
    assert images is not None  # the configuration demands source: images
    import tensorflow as tf

    teacher = find_teacher(options, job.task, job.size, job.model.fit)
    predict = load_saved_model(teacher.folder).signatures["serving_default"]
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (f.IMAGE_PNG, f.IMAGE_SHA256)}
    probabilities, ids, progress = [], [], ProgressReporter()
    for start in range(0, len(images), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(images)))
        parsed = tf.io.parse_example(tf.constant(images.read(rows)), spec)
        outputs = predict(image_bytes=parsed[f.IMAGE_PNG])
        if (outputs["score"].numpy() < 0).any():
            raise PneumoError(
                f"training.distill.teacher: {teacher.folder} rejects a training image "
                f"({set(outputs['status'].numpy().tolist())}); use a teacher with lower limits"
            )
        probabilities.append(outputs["probabilities"].numpy())
        ids += parsed[f.IMAGE_SHA256].numpy().astype(str).tolist()
        progress("teacher", int(rows[-1]) + 1, len(images))
    if teacher.info.get("data", {}).get("training_sha256") != images_digest(ids):
        log.warning(
            "the teacher %s was trained on other images or does not say on which; it may have "
            "learned from the validation and test images of this run",
            teacher.folder,
        )
    softened = softmax(log_probabilities(np.concatenate(probabilities)), options.temperature)
    return softened.astype(np.float32)


def add_teacher(
    rows: LabeledRows, val_rows: LabeledRows, probabilities: np.ndarray | None
) -> tuple[LabeledRows, LabeledRows]:
    """Appends the teacher's probabilities to the targets, see `distillation_loss`.

    Args:
      rows: of the training split.
      val_rows: of the validation split, whose loss ignores the teacher: zeros are appended.
      probabilities: of the training split, float32 [n, classes]; None: nothing is appended.

    Returns:
      Both splits, with targets [n, 2 * classes].
    """
    if probabilities is None:
        return rows, val_rows
    zeros = np.zeros_like(val_rows.targets)
    return (
        replace(rows, targets=np.concatenate([rows.targets, probabilities], axis=1)),
        replace(val_rows, targets=np.concatenate([val_rows.targets, zeros], axis=1)),
    )
