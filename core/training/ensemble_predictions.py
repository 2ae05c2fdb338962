"""Predictions of the members on validation, and the table that keeps them."""

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
    """Predictions of each member for each image of a split.

    Attributes:
      logits: float32 [n, members, classes].
      probabilities: float64 [n, members, classes].
    """

    logits: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def from_logits(cls, logits: np.ndarray) -> Self:
        """Applies softmax."""
        return cls(logits, member_probabilities(logits))


def predict_ensemble(
    network: ClassifierNetwork, split: Embeddings, batch: int = 32
) -> EnsemblePredictions:
    """Predicts from stored features; from stored maps where a member has blocks of its own."""
    import tensorflow as tf

    logits, step = [], ProgressReporter()
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
            step(f"validate member {i + 1}", min(start + size, len(split)), len(split))
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
    """Writes predictions in the columns of components.scorer; `boxes` are those of a detector."""
    given = {
        "score": calibrated.score,
        "probabilities": calibrated.probabilities,
        "raw": calibrated.raw,
        "members": predictions.probabilities.reshape(len(records), -1),
        **(boxes or {}),
    }
    table.write(file, iter([prediction_columns(records, task, given)]))


def model_summary(network: ClassifierNetwork) -> str:
    """Returns Keras's summaries of the frozen part, of the blocks that learned, and of the head."""
    lines: list[str] = []
    first = network.members[0]
    for model in (network.lower, first.upper, first.head):
        if model is not None:
            model.summary(print_fn=lambda line, *_, **__: lines.append(line), expand_nested=True)
    lines.append(f"members of the ensemble: {len(network.members)}")
    return "\n".join(lines) + "\n"
