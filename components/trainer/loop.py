"""The training loop: epochs over batches, best epoch by validation loss, checkpoints, curves.

One loop serves the head and the fine-tuned network. It is not `keras.Model.fit`, because a run that
was killed must go on with the same batches, the same optimiser state and the same best epoch; and
because a head of a few thousand weights trains faster than `fit` starts.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from components.progress import Step
from components.trainer.batches import Batch, stacks
from components.trainer.checkpoint import Checkpoint
from components.trainer.learner import Learner, assign

if TYPE_CHECKING:
    import tensorflow as tf

log = logging.getLogger("pneumo.fit")


@dataclass(frozen=True)
class Source:
    """Where batches come from; of a process that trains with others: its share of them.

    Attributes:
      epoch: epoch, counted from 0 -> its batches (x [n, ...], targets [n, ...], weights [n]).
      steps: batches of an epoch.
      validation: every validation image once.
      x: shape and type of x, without the batch.
      judged: shape and type of x on validation; none: the same.
      window: step, of all epochs alike -> place of this share's first image in the whole batch, and
        images of the whole batch; none: the batch is whole.
      stacked: batches that one call learns from; several, where a call costs as much as a step.
    """

    epoch: Callable[[int], Iterator[Batch]]
    steps: int
    validation: Callable[[], Iterator[Batch]]
    x: "tf.TensorSpec"
    judged: "tf.TensorSpec | None" = None
    window: Callable[[int], tuple[int, int]] | None = None
    stacked: int = 1


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
      epochs: at most.
      patience: epochs without a better validation loss after which it stops.
      schedule: "constant" or "cosine" (to 0 at the end of all epochs), after `warmup`.
      warmup: part of all steps in which the learning rate rises from 0.
      label_smoothing: see `partial_cross_entropy`.
      focal_gamma: see `partial_cross_entropy`.
      clip_norm: largest norm of a batch's whole gradient; longer ones are shortened to it.
      average: momentum of a moving average of the weights (Polyak & Juditsky 1992), which is what
        validation judges and what is kept; none: the weights themselves.
    """

    epochs: int
    patience: int
    schedule: str = "constant"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    focal_gamma: float | None = None
    clip_norm: float | None = None
    average: float | None = None

    def factor(self, step: int, steps: int) -> float:
        """Factor on the learning rate at a step of all steps (Loshchilov & Hutter 2017)."""
        rising = self.warmup * steps
        if step < rising:
            return (step + 1) / (rising + 1)
        if self.schedule == "constant":
            return 1.0
        done = (step - rising) / max(1.0, steps - rising)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass
class Curves:
    """One entry for each epoch.

    Attributes:
      values: `loss`, `val_loss`, `learning_rate`; and what the objective measures, under its name
        and as `val_...`: `accuracy` of classes.
      best_epoch: counted from 1; 0 before the first.
      earlier: seconds that killed processes had spent on what this one went on from.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    earlier: float = field(default=0.0, compare=False)

    def add(self, numbers: dict[str, float]) -> None:
        """Appends an epoch."""
        for name, value in numbers.items():
            self.values.setdefault(name, []).append(value)

    def __len__(self) -> int:
        return len(self.values.get("val_loss", []))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.values,
            "epochs": list(range(1, len(self) + 1)),
            "best_epoch": self.best_epoch,
        }


def train(
    learner: Learner,
    source: Source,
    plan: Plan,
    *,
    what: str,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Curves:
    """Trains in place and leaves the model at its best epoch by validation loss.

    Args:
      learner: the network.
      source: batches.
      plan: epochs, schedule.
      what: for the progress line.
      checkpoint: where the state goes after epochs; if it holds one, training goes on from there.
        In the end it holds the best weights and the curves, so that what is trained after this may
        be killed too. Of several processes the chief alone reads and writes it.
      on_epoch: called with the epoch, counted from 1, and its numbers; by the chief alone.

    Raises:
      ValueError: the loss is no longer a number.
    """
    started = time.monotonic()
    team = learner.team
    names = ("loss", *learner.measures)
    width = len(names) + 1
    curves, best = _start(learner, checkpoint)
    if len(curves):
        log.info("%s goes on after epoch %d", what, len(curves))
    steps, progress = source.steps * plan.epochs, Step()
    for epoch in range(len(curves), plan.epochs):
        if epoch - curves.best_epoch >= plan.patience and curves.best_epoch:
            break
        sums, seen = np.zeros(width), 0
        for first, batches in stacks(source.epoch(epoch), source.stacked):
            ordinals = range(first, first + len(batches[0]))
            factors = [plan.factor(epoch * source.steps + i, steps) for i in ordinals]
            rates = np.outer(factors, [group.learning_rate for group in learner.groups])
            whole = (0, batches[0].shape[1])
            windows = [source.window(i) if source.window else whole for i in ordinals]
            at = np.array(windows, np.int32)
            told = learner.train_steps(*batches, at, rates.astype(np.float32)).numpy()
            sums += told.sum(axis=0, dtype=np.float64)
            seen += int(at[:, 1].sum())
            progress(f"{what}, epoch {epoch + 1}", seen)
        live = learner.average() if plan.average is not None else []
        learner.copy_to_judge()
        judged = (learner.val_step(*batch).numpy() for batch in source.validation())
        val = team.total(sum(judged, np.zeros(width)))
        numbers = {
            **dict(zip(names, sums[:-1] / sums[-1], strict=True)),
            **{f"val_{name}": of for name, of in zip(names, val[:-1] / val[-1], strict=True)},
            "learning_rate": float(learner.optimizers[0].learning_rate.value.numpy()),
        }
        if not math.isfinite(numbers["loss"]) or not math.isfinite(numbers["val_loss"]):
            raise ValueError(f"{what}: the loss is not a number in epoch {epoch + 1}; lower the "
                             "learning rate")  # fmt: skip
        if numbers["val_loss"] < min(curves.values.get("val_loss", [math.inf])):
            curves.best_epoch = epoch + 1
            best = learner.weights()
        for variable, value in live:
            variable.assign(value)
        curves.add({name: float(value) for name, value in numbers.items()})
        if on_epoch is not None and team.chief:
            on_epoch(epoch + 1, numbers)
        if checkpoint is not None and team.chief and checkpoint.due():
            checkpoint.save([*learner.values(), *best], _reached(curves, started))
        told = ", ".join(f"{name} {numbers[name]:.4f}" for name in ("loss", *_val_names(numbers)))
        log.info("%s epoch %d/%d: %s", what, epoch + 1, plan.epochs, told)
    assign(learner.model.variables, best)
    if checkpoint is not None and team.chief:
        checkpoint.save(best, {**_reached(curves, started), "finished": True})
    return curves


def _start(learner: Learner, checkpoint: Checkpoint | None) -> tuple[Curves, list[np.ndarray]]:
    """Fills the variables; gives what was reached, and the model's variables at the best epoch.

    They are the chief's, on every process: those of the others may differ in the last bits, where a
    processor of another kind made them. Of a training that has ended there are the best alone.
    """
    team = learner.team
    stored = checkpoint.load() if checkpoint is not None and team.chief else None
    if stored is not None:
        arrays, facts = stored
    else:
        now = learner.values()
        arrays = [*now, *now[: len(learner.model.variables)]]
        facts = {"values": {}, "best_epoch": 0, "seconds": 0.0}
    *arrays, text = team.tell([*arrays, np.array(json.dumps(facts))])
    facts = json.loads(str(text))
    curves = Curves(facts["values"], facts["best_epoch"], facts.get("seconds", 0.0))
    if facts.get("finished"):
        return curves, arrays
    kept = learner.state
    assign(kept, arrays[: len(kept)])
    return curves, arrays[len(kept) :]


def _reached(curves: Curves, started: float) -> dict[str, Any]:
    seconds = curves.earlier + time.monotonic() - started
    return {"values": curves.values, "best_epoch": curves.best_epoch, "seconds": seconds}


def _val_names(numbers: dict[str, float]) -> list[str]:
    """Names of what was measured on validation."""
    return [name for name in numbers if name.startswith("val_")]
