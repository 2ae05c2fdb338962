"""AdamW with warm-up, schedule, clipping and averaging. Imports Keras."""

# ruff: noqa: D102 (the methods are those of keras.optimizers.Optimizer)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class OptimizerOptions:
    """Options of AdamW.

    Attributes:
      learning_rate: after warm-up.
      weight_decay: of kernels, decoupled from the gradient.
      schedule: "constant" or "cosine" (to 0 at the end of all steps; Loshchilov & Hutter 2017).
      warmup: share of all steps in which the learning rate rises from 0.
      clip_norm: greatest norm of a batch's whole gradient; with several GPUs, of each one's part.
      average: momentum of the moving average of the weights (Polyak & Juditsky 1992) that is
        validated and kept; None: the weights themselves.
    """

    learning_rate: float
    weight_decay: float
    schedule: str = "constant"
    warmup: float = 0.0
    clip_norm: float | None = None
    average: float | None = None


def build_optimizer(
    options: OptimizerOptions, steps: int, factor: "Callable[[keras.Variable], float] | None"
) -> keras.optimizers.Optimizer:
    """Builds the optimizer.

    Args:
      options: see there.
      steps: of all epochs together, for the schedule.
      factor: variable -> factor on its learning rate; None: 1 for all.
    """
    more: dict[str, Any] = {"global_clipnorm": options.clip_norm}
    if options.average is not None:
        more |= {"use_ema": True, "ema_momentum": options.average}
    rate = learning_rate(options, steps)
    if factor is None:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=options.weight_decay, **more)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    return DiscriminativeAdamW(rate, options.weight_decay, factor, **more)


def learning_rate(options: OptimizerOptions, steps: int) -> Any:
    """Returns a number, or Keras's schedule: linear warm-up, then cosine or constant."""
    rate, rising = options.learning_rate, round(options.warmup * steps)
    if options.schedule == "constant" and not rising:
        return rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rising else rate,
        max(1, steps - rising),
        alpha=1.0 if options.schedule == "constant" else 0.0,
        warmup_target=rate if rising else None,
        warmup_steps=rising,
    )


class DiscriminativeAdamW(keras.optimizers.Adam):
    """AdamW with a factor on each variable's learning rate (Howard & Ruder 2018)."""

    def __init__(
        self,
        rate: Any,
        decay: float,
        factor: "Callable[[keras.Variable], float]",
        **more: Any,
    ) -> None:
        super().__init__(rate, **more)
        self._decay, self._factor = decay, factor
        self._factors: tuple[float, ...] = ()
        self._decays: tuple[float, ...] = ()

    def build(self, variables: "Sequence[keras.Variable]") -> None:
        super().build(variables)
        self._factors = tuple(self._factor(variable) for variable in variables)
        self._decays = tuple(
            0.0 if variable.name in ("bias", "gamma", "beta") else self._decay
            for variable in variables
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        at = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._factors[at]
        if self._decays[at]:
            self.assign_sub(variable, variable * rate * self._decays[at])
        super().update_step(gradient, variable, rate)
