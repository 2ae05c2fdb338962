"""A network made ready to learn: its optimisers, and the functions of a batch, traced once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from components.trainer.distribution import Team
from components.trainer.objective import Objective, of_classes
from components.trainer.steps import steps_of

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from components.trainer.loop import Plan, Source


@dataclass(frozen=True)
class Group:
    """Variables that share a learning rate."""

    variables: "list[keras.Variable]"
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Learner:
    """What a training needs of the network, apart from the batches.

    Attributes:
      model: x -> outputs float32 [n, ...].
      judge: answers on validation; `model` itself, or the same network for images of another size.
      groups: what learns, and how fast.
      optimizers: one for each group, built.
      decays: their weight decay; variables, so that another one needs no other trace.
      measures: names of what is told beside the loss.
      train_steps: see `steps_of`.
      val_step: see `steps_of`.
      team: who trains together.
    """

    model: "keras.Model"
    judge: "keras.Model"
    groups: list[Group]
    optimizers: "list[keras.optimizers.Optimizer]"
    decays: "list[tf.Variable]"
    measures: tuple[str, ...]
    train_steps: Any
    val_step: Any
    team: Team

    @classmethod
    def of(
        cls,
        model: "keras.Model",
        groups: list[Group],
        source: "Source",
        plan: "Plan",
        *,
        team: Team | None = None,
        objective: Objective | None = None,
        judge: "keras.Model | None" = None,
    ) -> "Learner":
        """Makes a network ready.

        Args:
          model: x -> outputs float32 [n, ...]; logits [n, classes] unless there is an objective.
          groups: what learns, and how fast.
          source: shapes and types of the batches; of another source they must be the same.
          plan: loss, clipping, averaging.
          team: who trains together; the model must have been built in the scope of its strategy.
          objective: what is to be learned; none: classes, as `plan` says.
          judge: the same network for images of another size, which answers on validation with the
            weights of `model`; none: `model` itself.
        """
        team = team or Team(distributed=False)
        optimizers, decays = _optimizers(groups, plan)
        classes = model.output_shape[-1]
        aim = objective or of_classes(classes, plan.label_smoothing, plan.focal_gamma)
        train_steps, val_step = steps_of(
            model, judge or model, groups, optimizers, source, aim, team, plan.clip_norm
        )
        return cls(
            model, judge or model, groups, optimizers, decays, tuple(aim.measures),
            train_steps, val_step, team,
        )  # fmt: skip

    @property
    def state(self) -> "list[keras.Variable]":
        """All that a training goes on from: the model's variables, then those of the optimisers."""
        return [*self.model.variables, *(v for of in self.optimizers for v in of.variables)]

    def values(self) -> list[np.ndarray]:
        """Of `state`."""
        return [v.value.numpy() for v in self.state]

    def weights(self) -> list[np.ndarray]:
        """Of the model's variables."""
        return [v.value.numpy() for v in self.model.variables]

    def again(self, start: list[np.ndarray], paces: Sequence[tuple[float, float]]) -> "Learner":
        """The same network as it was before it learned, to learn at another pace.

        Args:
          start: `values` of then.
          paces: learning rate and weight decay of each group.
        """
        assign(self.state, start)
        found = []
        for group, decay, (rate, value) in zip(self.groups, self.decays, paces, strict=True):
            decay.assign(value)
            found.append(replace(group, learning_rate=rate, weight_decay=value))
        return replace(self, groups=found)

    def copy_to_judge(self) -> None:
        """Gives the judge the model's weights."""
        if self.judge is not self.model:
            assign(self.judge.variables, self.weights())

    def average(self) -> "list[tuple[keras.Variable, np.ndarray]]":
        """Puts the averages into the variables; gives what was there, to learn on from."""
        live = [(v, v.value.numpy()) for group in self.groups for v in group.variables]
        for group, optimizer in zip(self.groups, self.optimizers, strict=True):
            optimizer.finalize_variable_values(group.variables)
        return live


def assign(variables: "Sequence[keras.Variable]", values: Sequence[np.ndarray]) -> None:
    """Fills variables, in their order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _optimizers(
    groups: list[Group], plan: "Plan"
) -> "tuple[list[keras.optimizers.Optimizer], list[tf.Variable]]":
    """One for each group, built, and the variable that holds its weight decay."""
    import keras
    import tensorflow as tf

    optimizers, decays = [], []
    for group in groups:
        optimizer = keras.optimizers.AdamW(
            group.learning_rate,
            weight_decay=group.weight_decay,
            use_ema=plan.average is not None,
            ema_momentum=plan.average or 0.0,
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        optimizer.build(group.variables)
        decay = tf.Variable(group.weight_decay, trainable=False, dtype=tf.float32)
        optimizer.weight_decay = decay
        optimizers.append(optimizer)
        decays.append(decay)
    return optimizers, decays
