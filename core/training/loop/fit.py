"""Trains a model with Keras's `fit`: best epoch by validation loss, early stopping, resume."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.training.loop.batches import TrainingData
from core.training.loop.checkpoint import Checkpoint
from core.training.loop.curves import Objective, OutputPaths, TrainingCurves
from schema.storage import join

if TYPE_CHECKING:
    import keras

    from core.training.loop.optimizer import OptimizerOptions

log = logging.getLogger("pneumo.fit")

_MAX_STEPS: Final = 1024  # per execution of a small model


def fit_model(
    model: "keras.Model",
    data: TrainingData,
    objective: Objective,
    optimizer: "OptimizerOptions",
    *,
    epochs: int,
    patience: int,
    phase: str,
    seed: int,
    outputs: OutputPaths | None = None,
    factor: "Callable[[keras.Variable], float] | None" = None,
    validator: "keras.Model | None" = None,
    small: bool = False,
) -> TrainingCurves:
    """Trains a model in place and restores the weights of the best epoch by validation loss.

    Each epoch writes one checkpoint file, which includes the best weights, so a killed run resumes
    with the same result. After the last epoch it contains the best weights only, so a finished
    phase is not trained again.

    Args:
      model: x -> outputs float32 [n, ...]; built in the scope of its tf.distribute strategy.
      data: training and validation batches.
      objective: loss and metrics.
      optimizer: options of the optimizer.
      epochs: maximum number of epochs.
      patience: epochs without a lower validation loss before training stops.
      phase: name of the phase in messages and file names.
      seed: of the ensemble member.
      outputs: checkpoint and log folders; None writes nothing.
      factor: variable -> factor on its learning rate; None: 1.
      validator: the same network for another image size or a single device; validates with the
        weights of `model`. None: `model` itself.
      small: a step takes no longer than its call, so several steps run per call.

    Returns:
      The curves of all epochs, including those before a resume.

    Raises:
      ValueError: the loss is not finite.
    """
    import keras

    from core.training.loop import callbacks
    from core.training.loop.optimizer import build_optimizer

    name = f"{phase}, seed {seed}"
    started = time.monotonic()
    checkpoint = None
    if outputs is not None:
        # Writing a checkpoint takes longer than an epoch of a small model.
        file = join(str(outputs.checkpoints), f"{phase}-{seed}.npz")
        checkpoint = Checkpoint(file, every=5.0 if small else 0.0)
    stored = checkpoint.load() if checkpoint is not None else None
    arrays, state = stored if stored is not None else ([], {"values": {}, "best_epoch": 0})
    curves = TrainingCurves(state["values"], state["best_epoch"], state.get("seconds", 0.0))
    first, best = len(curves), arrays[len(arrays) - len(model.weights) :]
    if first == epochs or state.get("finished") or (first - curves.best_epoch >= patience and best):
        model.set_weights(best)
        return curves
    if first:
        log.info("%s resumes after epoch %d", name, first)

    steps, dataset = data.steps, data.epochs(first, epochs)
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas > 1 and data.images >= data.batch_size:
        # Partial batches are dropped: a replica without images has no loss.
        steps, size = data.images // data.batch_size, data.batch_size
        dataset = dataset.filter(lambda x, *_: keras.ops.shape(x)[0] == size)
    compiled = {
        "loss": objective.loss,
        "steps_per_execution": _steps_per_execution(steps) if small else 1,
        "jit_compile": False,
    }
    with model.distribute_strategy.scope():
        adam = build_optimizer(optimizer, epochs * steps, factor)
        model.compile(adam, metrics=callbacks.metrics(objective), **compiled)
        adam.build(model.trainable_variables)
    variables = [*model.variables, *adam.variables]
    for variable, value in zip(variables, arrays[: len(variables)], strict=bool(arrays)):
        variable.assign(value)
    if validator is not None:
        validator.compile(loss=objective.loss, metrics=callbacks.metrics(objective))
    stopping = callbacks.early_stopping(patience)

    def save() -> None:
        if checkpoint is not None and len(curves) > first and checkpoint.due():
            values = [np.asarray(variable) for variable in variables]
            checkpoint.save([*values, *stopping.best_weights], _progress(curves, started))

    model.fit(
        dataset,
        epochs=epochs,
        initial_epoch=first,
        steps_per_epoch=steps,
        validation_data=data.validation if validator is None else None,
        shuffle=False,  # the dataset defines the order
        verbose=0,
        callbacks=[
            *callbacks.averaging(optimizer),
            *callbacks.validation(validator, data.validation),
            callbacks.CurveRecorder(curves, name, epochs, data),
            stopping,
            *callbacks.tensorboard(outputs.logs / phase.replace("-", "_") if outputs else None),
            callbacks.Resume(curves, stopping, best, save),
        ],
    )
    if checkpoint is not None:
        checkpoint.save(model.get_weights(), {**_progress(curves, started), "finished": True})
    return curves


def _progress(curves: TrainingCurves, started: float) -> dict[str, Any]:
    seconds = curves.earlier_seconds + time.monotonic() - started
    return {"values": curves.values, "best_epoch": curves.best_epoch, "seconds": seconds}


def _steps_per_execution(steps: int) -> int:
    """Returns the largest divisor of `steps`; Keras would run into the next epoch otherwise."""
    return max(n for n in range(1, min(steps, _MAX_STEPS) + 1) if steps % n == 0)
