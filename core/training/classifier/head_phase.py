"""First training phase: trains a new head on pooled features."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.models.head import build_head, select_pooling
from core.models.options import ModelOptions
from core.training.classifier.losses import class_objective
from core.training.loop.batches import LabeledRows, data_from_rows
from core.training.loop.curves import OutputPaths, TrainingCurves
from core.training.loop.fit import fit_model
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
      train_rows: training images; views [n, 2 * channels] as the Embedder stores them.
      val_rows: validation images, likewise.
      scaling: mean and standard deviation of the pooled features, see `feature_moments`.
      task: defines the classes.
      model: pooling, dense layers, dropout.
      options: optimizer, epochs, loss.
      seed: of weights, dropout and order.
      outputs: checkpoint and log folders; None writes nothing.

    Returns:
      The head at its best epoch by validation loss, and its curves.
    """
    import keras

    from core.training.loop.optimizer import OptimizerOptions

    keras.utils.set_random_seed(seed)
    head = build_head(*scaling, len(task.classes), model, task.two_stage, task.positive, seed)
    pooled_train, pooled_val = (
        replace(rows, views=tuple(select_pooling(view, model.pooling) for view in rows.views))
        for rows in (train_rows, val_rows)
    )
    curves = fit_model(
        head,
        data_from_rows(pooled_train, pooled_val, seed, options.batch_size),
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
