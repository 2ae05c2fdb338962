"""AdamW with warm-up, schedule, gradient clipping and weight averaging. Imports Keras."""

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
      weight_decay: decoupled weight decay of kernels.
      schedule: "constant" or "cosine" (to 0 at the last step; Loshchilov & Hutter, 2017).
      warmup: share of all steps in which the learning rate rises linearly from 0.
      clip_norm: maximum global norm of the gradient of a batch; with several GPUs, of each
        replica's gradient. None: no clipping.
      average: momentum of the moving average of the weights (Polyak & Juditsky, 1992), which is
        validated and kept instead of the weights; None: no averaging.
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
      options: of the optimizer.
      steps: total number of steps, for the schedule.
      factor: variable -> factor on its learning rate; None: 1.
    """
    common: dict[str, Any] = {"global_clipnorm": options.clip_norm}
    if options.average is not None:
        common |= {"use_ema": True, "ema_momentum": options.average}
    rate = learning_rate(options, steps)
    if factor is None:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=options.weight_decay, **common)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    return DiscriminativeAdamW(rate, options.weight_decay, factor, **common)


def learning_rate(options: OptimizerOptions, steps: int) -> Any:
    """Returns a number, or a Keras schedule: linear warm-up, then cosine decay or constant."""
    rate, warmup_steps = options.learning_rate, round(options.warmup * steps)
    if options.schedule == "constant" and not warmup_steps:
        return rate
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else rate,
        max(1, steps - warmup_steps),
        alpha=1.0 if options.schedule == "constant" else 0.0,
        warmup_target=rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


class DiscriminativeAdamW(keras.optimizers.Adam):
    """AdamW with a learning rate factor for each variable (Howard & Ruder, 2018)."""

    def __init__(
        self,
        rate: Any,
        decay: float,
        factor: "Callable[[keras.Variable], float]",
        **options: Any,
    ) -> None:
        super().__init__(rate, **options)
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
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._factors[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * rate * self._decays[index])
        super().update_step(gradient, variable, rate)
