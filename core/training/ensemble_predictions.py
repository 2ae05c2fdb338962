"""Predictions of the ensemble members on the validation split."""

import functools
from collections.abc import Mapping
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


def predict_ensemble(
    network: ClassifierNetwork, split: Embeddings, batch: int = 32
) -> EnsemblePredictions:
    """Predicts from stored features, or from stored maps for members with fine-tuned blocks."""
    import tensorflow as tf

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
        for start in range(0, len(split), size):
            parts.append(np.asarray(run(np.asarray(rows[start : start + size], np.float32))))
            progress(f"validate member {i + 1}", min(start + size, len(split)), len(split))
        logits.append(np.concatenate(parts).astype(np.float32))
    return EnsemblePredictions.from_logits(np.stack(logits, axis=1))


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
    values = {
        "score": calibrated.score,
        "probabilities": calibrated.probabilities,
        "raw": calibrated.raw,
        "members": predictions.probabilities.reshape(len(records), -1),
        **(boxes or {}),
    }
    table.write(file, iter([prediction_columns(records, task, values)]))
