"""Trains a network with Keras's `fit`: best epoch by validation loss, early stopping, resume."""

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

_STEPS: Final = 1024  # most batches of a small network in one call


def train(
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
    """Trains in place and leaves the model at its best epoch by validation loss.

    The state after each epoch is one file, which also holds the best weights: a killed run resumes
    with the same result. After the last epoch it holds the best weights alone, so that a phase that
    has ended is not trained again.

    Args:
      model: x -> outputs float32 [n, ...]; built in the scope of its tf.distribute strategy.
      data: batches.
      objective: loss and metrics.
      optimizer: see there.
      epochs: at most.
      patience: epochs without a better validation loss after which training stops.
      phase: its name, for messages and files.
      seed: of the member.
      outputs: for checkpoints and logs; None writes nothing.
      factor: variable -> factor on its learning rate.
      validator: the same network for images of another size or for one device, which validates with
        the weights of `model`; None: `model` itself.
      small: a step costs no more than its call; several then run in one call.

    Raises:
      ValueError: the loss is not a number.
    """
    import keras

    from core.training.loop import callbacks
    from core.training.loop.optimizer import build_optimizer

    name = f"{phase}, seed {seed}"
    started = time.monotonic()
    checkpoint = None
    if outputs is not None:
        # Writing costs more than an epoch of a small network.
        file = join(str(outputs.checkpoints), f"{phase}-{seed}.npz")
        checkpoint = Checkpoint(file, every=5.0 if small else 0.0)
    stored = checkpoint.load() if checkpoint is not None else None
    arrays, facts = stored if stored is not None else ([], {"values": {}, "best_epoch": 0})
    curves = TrainingCurves(facts["values"], facts["best_epoch"], facts.get("seconds", 0.0))
    first, best = len(curves), arrays[len(arrays) - len(model.weights) :]
    if first == epochs or facts.get("finished") or (first - curves.best_epoch >= patience and best):
        model.set_weights(best)
        return curves
    if first:
        log.info("%s resumes after epoch %d", name, first)

    steps, dataset = data.steps, data.epochs(first, epochs)
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas > 1 and data.images >= data.batch_size:
        # A replica without an image has no loss.
        steps, size = data.images // data.batch_size, data.batch_size
        dataset = dataset.filter(lambda x, *_: keras.ops.shape(x)[0] == size)
    compiled = {
        "loss": objective.loss,
        "steps_per_execution": _divisor(steps) if small else 1,
        "jit_compile": False,
    }
    with model.distribute_strategy.scope():
        built = build_optimizer(optimizer, epochs * steps, factor)
        model.compile(built, metrics=callbacks.metrics(objective), **compiled)
        built.build(model.trainable_variables)
    state = [*model.variables, *built.variables]
    for variable, value in zip(state, arrays[: len(state)], strict=bool(arrays)):
        variable.assign(value)
    if validator is not None:
        validator.compile(loss=objective.loss, metrics=callbacks.metrics(objective))
    stopping = callbacks.early_stopping(patience)

    def save() -> None:
        if checkpoint is not None and len(curves) > first and checkpoint.due():
            values = [np.asarray(variable) for variable in state]
            checkpoint.save([*values, *stopping.best_weights], _facts(curves, started))

    model.fit(
        dataset,
        epochs=epochs,
        initial_epoch=first,
        steps_per_epoch=steps,
        validation_data=data.validation if validator is None else None,
        shuffle=False,  # the order is that of the data
        verbose=0,
        callbacks=[
            *callbacks.averaging(optimizer),
            *callbacks.validation(validator, data.validation),
            callbacks.Record(curves, name, epochs, data),
            stopping,
            *callbacks.tensorboard(outputs.logs / phase.replace("-", "_") if outputs else None),
            callbacks.Resume(curves, stopping, best, save),
        ],
    )
    if checkpoint is not None:
        checkpoint.save(model.get_weights(), {**_facts(curves, started), "finished": True})
    return curves


def _facts(curves: TrainingCurves, started: float) -> dict[str, Any]:
    seconds = curves.earlier + time.monotonic() - started
    return {"values": curves.values, "best_epoch": curves.best_epoch, "seconds": seconds}


def _divisor(steps: int) -> int:
    """The most steps of one call; Keras's last call of an epoch would take those of the next."""
    return max(n for n in range(1, min(steps, _STEPS) + 1) if steps % n == 0)
