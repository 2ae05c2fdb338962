"""Predictions of the ensemble members on the validation split."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from core.embedding.records import ImageRecords
from core.embedding.store import Embeddings
from core.models.classifier import ClassifierNetwork
from core.models.head import pool, select_pooling
from core.predictions import table
from core.predictions.columns import prediction_columns
from core.progress import ProgressReporter
from core.training.calibration import CalibrationResult, member_probabilities
from core.training.data.image_training_data import RecordFile
from core.training.data.transformed_images import decode_records
from schema.labels import Task


@dataclass(frozen=True)
class EnsemblePredictions:
    """Predictions of each ensemble member for each image of a split.

    Attributes:
      logits: float32 [n, members, classes].
      probabilities: float64 [n, members, classes].
    """

    logits: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def from_logits(cls, logits: np.ndarray) -> Self:
        """Applies softmax to logits, float32 [n, members, classes]."""
        return cls(logits, member_probabilities(logits))

    def scaled(self, temperatures: Sequence[float]) -> "EnsemblePredictions":
        """Returns the predictions with a temperature for each member."""
        divisors = np.array(temperatures, np.float32)[:, np.newaxis]
        return EnsemblePredictions.from_logits(self.logits / divisors)


def predict_ensemble(
    network: ClassifierNetwork,
    split: Embeddings,
    batch: int = 32,
    selected: np.ndarray | None = None,
    step: str = "validate",
    images: RecordFile | None = None,
) -> EnsemblePredictions:
    """Predicts from stored features, or from stored maps for members with fine-tuned blocks.

    A network that averages over views predicts from the images, as the exported model does.

    Args:
      network: the members.
      split: features, or maps at the layer.
      batch: images per step of a member with fine-tuned blocks.
      selected: images to predict, int [m]; None: all.
      step: name of the step in progress reports.
      images: of the split; needed by a network that averages over views.
    """
    import tensorflow as tf

    chosen = np.arange(len(split)) if selected is None else selected
    if network.views:
        assert images is not None  # the configuration demands source: images
        return predict_images(network, images, chosen, step, batch)
    logits, progress = [], ProgressReporter()
    for i, member in enumerate(network.members):
        upper, head = member.upper, member.head
        if upper is None:
            rows, size = select_pooling(split.features[0], network.pooling), 1024
            run = functools.partial(head, training=False)
        else:
            rows, size = split.maps[0], batch
            run = tf.function(
                lambda x, upper=upper, head=head: head(
                    pool(upper(x, training=False), network.pooling), training=False
                ),
                input_signature=[tf.TensorSpec([None, *rows.shape[1:]], tf.float32)],
                autograph=False,
            )
        parts = []
        for start in range(0, len(chosen), size):
            stored = rows[chosen[start : start + size]]
            parts.append(np.asarray(run(np.asarray(stored, np.float32))))
            progress(f"{step} member {i + 1}", min(start + size, len(chosen)), len(chosen))
        logits.append(np.concatenate(parts).astype(np.float32))
    return EnsemblePredictions.from_logits(np.stack(logits, axis=1))


def predict_images(
    network: ClassifierNetwork,
    images: RecordFile,
    selected: np.ndarray,
    step: str,
    batch: int = 32,
) -> EnsemblePredictions:
    """Predicts transformed images, at least one, through the whole network.

    Args:
      network: the members.
      images: of a split.
      selected: images to predict, int [m].
      step: name of the step in progress reports.
      batch: images per step.
    """
    import tensorflow as tf

    progress = ProgressReporter()
    run = tf.function(
        lambda records: network(tf.cast(decode_records(records, network.size)[0], tf.float32)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    logits = []
    for start in range(0, len(selected), batch):
        logits.append(run(images.read(selected[start : start + batch])).numpy())
        progress(step, min(start + batch, len(selected)), len(selected))
    return EnsemblePredictions.from_logits(np.concatenate(logits))


def calibrate_members(
    predictions: EnsemblePredictions, targets: np.ndarray
) -> tuple[EnsemblePredictions, list[float]]:
    """Fits a temperature to each member, so that the network predicts a mean of calibrated ones.

    Networks of different backbones are not equally confident; without temperatures the most
    confident one would dominate the mean.

    Args:
      predictions: of members with temperature 1.
      targets: float32 [n, classes], see `class_targets`.

    Returns:
      The calibrated predictions, and the temperature of each member.
    """
    from core.metrics.calibration import fit_temperature

    logits = predictions.logits
    temperatures = [fit_temperature(logits[:, i], targets) for i in range(logits.shape[1])]
    return predictions.scaled(temperatures), temperatures


def write_predictions(
    file: Path,
    records: ImageRecords,
    predictions: EnsemblePredictions,
    calibrated: CalibrationResult,
    task: Task,
    boxes: Mapping[str, Any] | None = None,
) -> None:
    """Writes predictions in the same columns as the Scorer.

    Args:
      file: parquet file.
      records: of the split.
      predictions: of the members.
      calibrated: calibrated predictions of the ensemble.
      task: defines the classes.
      boxes: `boxes` and `box_scores` of a detector; None for a classifier.
    """
    columns = table_columns(records, predictions, calibrated, task, boxes)
    table.write(file, iter([columns]))


def table_columns(
    records: ImageRecords,
    predictions: EnsemblePredictions,
    calibrated: CalibrationResult,
    task: Task,
    boxes: Mapping[str, Any] | None = None,
) -> dict[str, list[Any]]:
    """Returns the columns of `write_predictions`."""
    values = {
        "score": calibrated.score,
        "probabilities": calibrated.probabilities,
        "raw": calibrated.raw,
        "members": predictions.probabilities.reshape(len(records), -1),
        **(boxes or {}),
    }
    return prediction_columns(records, task, values)
