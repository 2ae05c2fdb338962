"""First phase: a new head learns on pooled features."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.models.head import build_head, select_pooling
from core.models.options import ModelOptions
from core.training.loop.batches import LabeledRows, data_from_rows
from core.training.loop.curves import OutputPaths, TrainingCurves
from core.training.loop.fit import train
from core.training.losses import class_objective
from core.training.options import TrainingOptions
from schema.labels import Task

if TYPE_CHECKING:
    import keras


def fit_head(
    train_rows: LabeledRows,
    val_rows: LabeledRows,
    scaling: tuple[np.ndarray, np.ndarray],
    task: Task,
    model: ModelOptions,
    options: TrainingOptions,
    seed: int,
    outputs: OutputPaths | None = None,
) -> "tuple[keras.Model, TrainingCurves]":
    """Trains a new head on pooled features.

    Args:
      train_rows: views [n, 2 * channels] as the Embedder stores them.
      val_rows: the same, of validation.
      scaling: mean and deviation of the selected features, see `feature_moments`.
      task: gives the classes.
      model: pooling, dense layers, dropout.
      options: optimizer, epochs, loss.
      seed: of weights, dropout and order.
      outputs: for checkpoints and logs; None writes nothing.

    Returns:
      The head at its best epoch, and its curves.
    """
    import keras

    from core.training.loop.optimizer import OptimizerOptions

    keras.utils.set_random_seed(seed)
    head = build_head(*scaling, len(task.classes), model, task.two_stage, task.positive, seed)
    learned, judged = (
        replace(rows, views=tuple(select_pooling(view, model.pooling) for view in rows.views))
        for rows in (train_rows, val_rows)
    )
    curves = train(
        head,
        data_from_rows(learned, judged, seed, options.batch_size),
        class_objective(options),
        OptimizerOptions(options.learning_rate, options.weight_decay, options.schedule),
        epochs=options.epochs,
        patience=options.patience,
        phase="head",
        seed=seed,
        outputs=outputs,
        small=True,
    )
    return head, curves
