"""The two phases: the head on embedded features, then blocks of the trunk with it."""

import contextlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from components.trainer.batches import Rows
from components.trainer.checkpoint import Checkpoint
from components.trainer.distribution import Team
from components.trainer.head import build_head, pool, select
from components.trainer.learner import Group, Learner
from components.trainer.logs import Logs
from components.trainer.loop import Curves, Plan, Source, train
from components.trainer.options import FineTuneOptions, ModelOptions, TrainingOptions
from components.trainer.sources import rows_source
from components.trainer.trunks import freeze_batch_norm, split_trunk
from schema.labels import Task
from schema.storage import join

if TYPE_CHECKING:
    import keras

log = logging.getLogger("pneumo.fit")

Ready = dict[ModelOptions, tuple[Learner, list[np.ndarray]]]

TOGETHER: Final = 1024  # images that one call teaches a head: it costs more than a small batch


@dataclass(frozen=True)
class Places:
    """Where one member leaves its traces.

    Attributes:
      checkpoints: folder of states that a killed run goes on from; a path or a URI.
      logs: folder of TensorBoard logs.
    """

    checkpoints: Path | str
    logs: Path


@dataclass(frozen=True)
class Trunk:
    """What it takes to build the trunk again.

    Attributes:
      name: of components.trainer.trunks.TRUNKS.
      size: side of the images, pixels.
      weights: None (random), or a file.
      cut: where it is split.
      seed: of random weights.
    """

    name: str
    size: int
    weights: str | None
    cut: str
    seed: int

    def split(self) -> "tuple[keras.Model, keras.Model | None]":
        """Below and above the cut, with variables of their own."""
        import keras

        keras.utils.set_random_seed(self.seed)
        return split_trunk(self.name, self.size, self.weights, self.cut)


def plan_of(options: TrainingOptions) -> Plan:
    """The plan of the first phase."""
    return Plan(
        epochs=options.epochs,
        patience=options.patience,
        schedule=options.schedule,
        label_smoothing=options.label_smoothing,
        focal_gamma=options.focal_gamma if options.loss == "focal" else None,
    )


def fit_head(
    train_rows: Rows,
    val_rows: Rows,
    scaling: tuple[np.ndarray, np.ndarray],
    of: Task,
    model: ModelOptions,
    options: TrainingOptions,
    seed: int,
    places: Places | None = None,
    ready: Ready | None = None,
) -> "tuple[keras.Model, Curves]":
    """First phase: trains a new head on pooled features.

    Args:
      train_rows: views [n, 2 * channels] as the Embedder stores them.
      val_rows: the same, of validation.
      scaling: mean and deviation of the selected features, see `moments`.
      of: the task.
      model: pooling, dense layers, dropout.
      options: optimiser, epochs, loss.
      seed: of weights, dropout and order.
      places: for checkpoints and logs; none leaves nothing.
      ready: heads of earlier calls, traced already, and what they began with; this one is taken
        from there, or left there. The calls may differ in `model`, learning rate and weight decay,
        in nothing else; and one head of equal `model` is lost to the next.

    Returns:
      The head at its best epoch, and its curves.
    """
    import keras

    keras.utils.set_random_seed(seed)
    source = rows_source(
        selected(train_rows, model.pooling), selected(val_rows, model.pooling), seed,
        options.batch_size, stacked=max(1, TOGETHER // options.batch_size),
    )  # fmt: skip
    plan, pace = plan_of(options), (options.learning_rate, options.weight_decay)
    if ready is not None and model in ready:
        known, start = ready[model]
        learner = known.again(start, [pace])
    else:
        new = new_head(scaling, of, model, seed)
        learner = Learner.of(new, [Group(new.trainable_variables, *pace)], source, plan)
        if ready is not None:
            ready[model] = learner, learner.values()
    head = learner.model
    logs = Logs(places.logs / "head", head) if places else None
    state = Checkpoint(join(str(places.checkpoints), f"head-{seed}.npz")) if places else None
    curves = train(
        learner, source, plan, what=f"head, seed {seed}", checkpoint=state, on_epoch=logs
    )
    return head, curves


def new_head(
    scaling: tuple[np.ndarray, np.ndarray], of: Task, model: ModelOptions, seed: int
) -> "keras.Model":
    """A head that has learned nothing; the arguments are those of `fit_head`."""
    return build_head(*scaling, len(of.classes), model, of.two_stage, of.positive, seed)


def selected(rows: Rows, pooling: str) -> Rows:
    """The columns of a pooling, without a copy."""
    return replace(rows, views=tuple(select(view, pooling) for view in rows.views))


def fine_tune(
    trunk: Trunk,
    head: "keras.Model",
    source: Source,
    pooling: str,
    options: FineTuneOptions,
    training: TrainingOptions,
    seed: int,
    places: Places,
    team: Team | None = None,
) -> "tuple[keras.Model, keras.Model, Curves]":
    """Second phase: the trunk above the cut learns, and the head goes on learning.

    Args:
      trunk: what to build; its cut says what learns.
      head: of the first phase.
      source: batches of activations at the cut, or of pixels (`options.source`).
      pooling: avg, max or both.
      options: of this phase; "auto" resolved, see `components.trainer.compute`.
      training: loss.
      seed: of dropout.
      places: for checkpoints and logs; of several processes the chief alone writes them.
      team: none: all accelerators of this machine.

    Returns:
      The trunk above the cut, in float32, and the head, at the best epoch; the curves.
    """
    import keras

    keras.utils.set_random_seed(seed)
    team = team or Team()
    strategy = team.strategy
    with strategy.scope() if strategy else contextlib.nullcontext():
        small = replace(trunk, size=options.view_size or trunk.size)
        upper, top, model = _assembled(small, head, pooling, options)
        judge = None
        if small != trunk:
            _, _, judge = _assembled(trunk, head, pooling, options)
        groups = [
            Group(upper.trainable_variables, options.learning_rate, options.weight_decay),
            Group(
                top.trainable_variables,
                options.head_learning_rate or options.learning_rate,
                options.weight_decay,
            ),
        ]
        plan = Plan(
            epochs=options.epochs,
            patience=options.patience,
            schedule=options.schedule,
            warmup=options.warmup,
            label_smoothing=training.label_smoothing,
            focal_gamma=training.focal_gamma if training.loss == "focal" else None,
            clip_norm=options.clip_norm,
            average=options.average,
        )
        state = Checkpoint(join(str(places.checkpoints), f"fine-tune-{seed}.npz"), every=0.0)
        curves = train(
            Learner.of(model, groups, source, plan, team=team, judge=judge), source, plan,
            what=f"fine-tune, seed {seed}", checkpoint=state,
            on_epoch=Logs(places.logs / "fine_tune", top) if team.chief else None,
        )  # fmt: skip
    if options.compute == "bfloat16" or strategy is not None or judge is not None:
        # Back to plain float32 variables and the model's own size, which is what is exported.
        learned = upper.get_weights()
        _, upper = trunk.split()
        assert upper is not None
        upper.set_weights(learned)
        plain = keras.models.clone_model(head)
        plain.set_weights(top.get_weights())
        top = plain
    return upper, top, curves


def _assembled(
    trunk: Trunk, head: "keras.Model", pooling: str, options: FineTuneOptions
) -> "tuple[keras.Model, keras.Model, keras.Model]":
    """What learns: the trunk above the cut, a copy of the head, and both behind what lies below."""
    import keras

    policy = keras.config.dtype_policy()
    if options.compute == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        lower, upper = trunk.split()
    finally:
        keras.config.set_dtype_policy(policy)
    if upper is None:
        raise ValueError("nothing lies above the cut 'top'; name another in fine_tune.from_cut")
    upper.trainable = True
    if options.batch_norm == "frozen":
        freeze_batch_norm(upper)
    top = keras.models.clone_model(head)
    top.set_weights(head.get_weights())
    if options.source == "images":
        lower.trainable = False
        pixels = keras.Input(lower.input_shape[1:], name="pixels")
        entry, at_cut = pixels, lower(pixels, training=False)
    else:
        entry = at_cut = keras.Input(upper.input_shape[1:], name="at_cut")
    features = keras.ops.cast(pool(upper(at_cut), pooling), "float32")
    model = keras.Model(entry, top(features), name=f"{trunk.name}_above_{trunk.cut}")
    return upper, top, model


def write_history(folder: Path, seed: int, phases: dict[str, Curves]) -> dict[str, Any]:
    """Writes `history/<seed>.json`: the curves of each phase, the last phase at the top level.

    The phase "detector" is none of the classifier's, and stands among the phases alone.
    """
    *_, last = (of for name, of in phases.items() if name != "detector")
    curves = {**last.to_dict(), "phases": {name: of.to_dict() for name, of in phases.items()}}
    file = folder / "history" / f"{seed}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(curves, indent=1))
    return curves
