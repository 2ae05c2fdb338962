"""Callbacks and metrics of `core.training.loop.fit`. Imports Keras."""

# ruff: noqa: ARG002, D102 (the methods are those of keras.callbacks.Callback)

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.progress import ProgressReporter
from core.training.loop.batches import TrainingData
from core.training.loop.curves import Objective, TrainingCurves
from core.training.loop.optimizer import OptimizerOptions

log = logging.getLogger("pneumo.fit")

_VALIDATION_LOSS = "validation_loss"


def metrics(objective: Objective) -> list[keras.metrics.Metric]:
    """Returns the metrics of an objective: unweighted means over images."""
    functions = {**objective.metrics, _VALIDATION_LOSS: objective.validation_loss}
    return [keras.metrics.MeanMetricWrapper(fn, name=name) for name, fn in functions.items()]


def early_stopping(patience: int) -> keras.callbacks.EarlyStopping:
    """Stops after `patience` epochs without a lower `val_loss`; restores the best weights."""
    return keras.callbacks.EarlyStopping(
        "val_loss", patience=patience, mode="min", restore_best_weights=True
    )


def averaging(options: OptimizerOptions) -> list[keras.callbacks.Callback]:
    """Validates with the moving average of the weights, if configured."""
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if options.average else []


def tensorboard(folder: Path | None) -> list[keras.callbacks.Callback]:
    """Logs curves, and histograms of the weights every tenth epoch."""
    if folder is None:
        return []
    return [keras.callbacks.TensorBoard(str(folder), histogram_freq=10, write_graph=False)]


def validation(
    validator: keras.Model | None, dataset: tf.data.Dataset
) -> list[keras.callbacks.Callback]:
    """Validates with another model that gets the weights of the trained one."""
    return [_Validate(validator, dataset)] if validator is not None else []


class _Validate(keras.callbacks.Callback):
    def __init__(self, validator: keras.Model, dataset: tf.data.Dataset) -> None:
        super().__init__()
        self._validator, self._dataset = validator, dataset

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self._validator.set_weights(self.model.get_weights())
        values = self._validator.evaluate(self._dataset, verbose=0, return_dict=True)
        logs.update({f"val_{name}": value for name, value in values.items()})


class CurveRecorder(keras.callbacks.Callback):
    """Records the curves and reports progress; raises if the loss is not finite.

    Replaces `val_loss` by the objective's validation loss for the callbacks after this one.
    """

    def __init__(self, curves: TrainingCurves, name: str, epochs: int, data: TrainingData) -> None:
        super().__init__()
        self._curves, self._name, self._epochs, self._data = curves, name, epochs, data
        self._progress = ProgressReporter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = min((batch + 1) * self._data.batch_size, self._data.images)
        self._progress(f"{self._name}, epoch {len(self._curves) + 1}", done)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        logs["val_loss"] = logs.pop(f"val_{_VALIDATION_LOSS}")
        del logs[_VALIDATION_LOSS]
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        if not math.isfinite(logs["loss"]) or not math.isfinite(logs["val_loss"]):
            raise ValueError(
                f"{self._name}: the loss is not finite in epoch {epoch + 1}; lower the learning "
                "rate"
            )
        self._curves.add({**logs, "learning_rate": rate})
        losses = {k: value for k, value in logs.items() if k == "loss" or k[:4] == "val_"}
        text = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        log.info("%s epoch %d/%d: %s", self._name, epoch + 1, self._epochs, text)


class Resume(keras.callbacks.Callback):
    """Restores the state of early stopping and writes a checkpoint at the start of each epoch.

    At the end of an epoch the model may hold the averaged weights instead of the trained ones.
    """

    def __init__(
        self,
        curves: TrainingCurves,
        stopping: keras.callbacks.EarlyStopping,
        best: list[np.ndarray],
        save: Callable[[], None],
    ) -> None:
        super().__init__()
        self._curves, self._stopping, self._best, self._save = curves, stopping, best, save

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if len(self._curves):
            self._stopping.best = min(self._curves.values["val_loss"])
            self._stopping.best_epoch = self._curves.best_epoch - 1
            self._stopping.best_weights = self._best
            self._stopping.wait = len(self._curves) - self._curves.best_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._save()
