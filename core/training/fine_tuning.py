"""Second phase: the blocks of the backbone above a layer learn, and the head with them."""

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.models.backbones import freeze_batch_norm, split_backbone
from core.models.head import pool
from core.training.loop.batches import TrainingData
from core.training.loop.curves import OutputPaths, TrainingCurves
from core.training.loop.distribution import device_strategy
from core.training.loop.fit import train
from core.training.losses import class_objective
from core.training.options import FineTuneOptions, TrainingOptions

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class BackboneConfig:
    """What it takes to build the backbone again.

    Attributes:
      name: of core.models.backbones.BACKBONES.
      size: side of the images, pixels.
      weights: None (random), or a file.
      layer: layer at which it is split.
      seed: of random weights.
    """

    name: str
    size: int
    weights: str | None
    layer: str
    seed: int

    def split(self) -> "tuple[keras.Model, keras.Model | None]":
        """Builds the parts below and above the layer, with variables of their own."""
        import keras

        keras.utils.set_random_seed(self.seed)
        return split_backbone(self.name, self.size, self.weights, self.layer)


def fine_tune(
    backbone: BackboneConfig,
    head: "keras.Model",
    data: TrainingData,
    pooling: str,
    options: FineTuneOptions,
    training: TrainingOptions,
    seed: int,
    outputs: OutputPaths,
) -> "tuple[keras.Model, keras.Model, TrainingCurves]":
    """Trains the backbone above the layer together with the head, on all GPUs of this machine.

    Args:
      backbone: what to build; its layer decides what learns.
      head: of the first phase.
      data: batches of activations at the layer, or of pixels (`options.source`).
      pooling: avg, max or both.
      options: of this phase; "auto" resolved, see `core.training.loop.compute_dtype`.
      training: loss.
      seed: of dropout.
      outputs: for checkpoints and logs.

    Returns:
      The backbone above the layer, in float32, and the head, at the best epoch; the curves.
    """
    import keras

    from core.training.loop.optimizer import OptimizerOptions

    keras.utils.set_random_seed(seed)
    strategy = device_strategy()
    learned_at = replace(backbone, size=options.view_size or backbone.size)
    with strategy.scope() if strategy else contextlib.nullcontext():
        upper, top, model = _assembled(learned_at, head, pooling, options, options.compute)
    validator = None
    if strategy or learned_at != backbone:
        *_, validator = _assembled(backbone, head, pooling, options, options.compute)
    factor = None
    if options.head_learning_rate is not None:
        of_head = {id(variable) for variable in top.trainable_variables}
        ratio = options.head_learning_rate / options.learning_rate
        factor = lambda variable: ratio if id(variable) in of_head else 1.0  # noqa: E731
    curves = train(
        model,
        data,
        class_objective(training),
        OptimizerOptions(
            options.learning_rate,
            options.weight_decay,
            options.schedule,
            options.warmup,
            options.clip_norm,
            options.average,
        ),
        epochs=options.epochs,
        patience=options.patience,
        phase="fine-tune",
        seed=seed,
        outputs=outputs,
        factor=factor,
        validator=validator,
    )
    if validator is not None or options.compute == "bfloat16":
        # Plain float32 variables at the model's own size, which is what is exported.
        weights = model.get_weights()
        upper, top, model = _assembled(backbone, head, pooling, options, "float32")
        model.set_weights(weights)
    return upper, top, curves


def _assembled(
    backbone: BackboneConfig,
    head: "keras.Model",
    pooling: str,
    options: FineTuneOptions,
    compute: str,
) -> "tuple[keras.Model, keras.Model, keras.Model]":
    """Builds the backbone above the layer, a copy of the head, and the network of both."""
    import keras

    policy = keras.config.dtype_policy()
    if compute == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        lower, upper = backbone.split()
    finally:
        keras.config.set_dtype_policy(policy)
    if upper is None:
        raise ValueError(
            "nothing lies above the layer 'top'; name another in fine_tune.trainable_from"
        )
    upper.trainable = True
    if options.batch_norm == "frozen":
        freeze_batch_norm(upper)
    top = keras.Model.from_config(head.get_config())  # clone_model would clone its loss too
    top.set_weights(head.get_weights())
    if options.source == "images":
        lower.trainable = False
        pixels = keras.Input(lower.input_shape[1:], name="pixels")
        entry, at_layer = pixels, lower(pixels, training=False)
    else:
        entry = at_layer = keras.Input(upper.input_shape[1:], name="at_layer")
    features = keras.ops.cast(pool(upper(at_layer), pooling), "float32")
    model = keras.Model(entry, top(features), name=f"{backbone.name}_above_{backbone.layer}")
    return upper, top, model
