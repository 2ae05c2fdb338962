"""Fine-tuning: trains the backbone blocks above a layer together with the head."""

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.models.backbones import freeze_batch_norm, split_backbone
from core.models.head import pool
from core.training.classifier.losses import class_objective
from core.training.loop.batches import TrainingData
from core.training.loop.curves import OutputPaths, TrainingCurves
from core.training.loop.distribution import device_strategy
from core.training.loop.fit import fit_model
from core.training.options import FineTuneOptions, TrainingOptions

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class BackboneConfig:
    """Parameters to build a backbone.

    Attributes:
      name: key of core.models.backbones.BACKBONES.
      size: image side, pixels.
      weights: weight file; None: random weights.
      layer: where the backbone is split.
      seed: of random weights.
    """

    name: str
    size: int
    weights: str | None
    layer: str
    seed: int

    def split(self) -> "tuple[keras.Model, keras.Model | None]":
        """Builds the parts below and above the layer; each call creates new variables."""
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
      backbone: its blocks above `backbone.layer` are trained.
      head: trained in the first phase; not modified.
      data: batches of activations at the layer, or of pixels (`options.source`).
      pooling: avg, max or both.
      options: of this phase; `compute` must be resolved, see `core.training.loop.compute_dtype`.
      training: loss options.
      seed: of dropout.
      outputs: checkpoint and log folders.

    Returns:
      The backbone above the layer (float32) and the head, both at the best epoch by validation
      loss, and the curves.

    Raises:
      ValueError: there are no blocks above the layer.
    """
    import keras

    from core.training.loop.optimizer import OptimizerOptions

    keras.utils.set_random_seed(seed)
    strategy = device_strategy()
    trained_backbone = replace(backbone, size=options.view_size or backbone.size)
    with strategy.scope() if strategy else contextlib.nullcontext():
        upper, top, model = _assemble(trained_backbone, head, pooling, options, options.compute)
    validator = None
    if strategy or trained_backbone != backbone:
        *_, validator = _assemble(backbone, head, pooling, options, options.compute)
    factor = None
    if options.head_learning_rate is not None:
        head_variables = {id(variable) for variable in top.trainable_variables}
        ratio = options.head_learning_rate / options.learning_rate
        factor = lambda variable: ratio if id(variable) in head_variables else 1.0  # noqa: E731
    curves = fit_model(
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
        # The exported network has float32 variables and the model's own input size.
        weights = model.get_weights()
        upper, top, model = _assemble(backbone, head, pooling, options, "float32")
        model.set_weights(weights)
    return upper, top, curves


def _assemble(
    backbone: BackboneConfig,
    head: "keras.Model",
    pooling: str,
    options: FineTuneOptions,
    compute: str,
) -> "tuple[keras.Model, keras.Model, keras.Model]":
    """Builds the backbone above the layer, a copy of the head, and the network of the two."""
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
            "there are no layers above 'top' to train; set fine_tune.trainable_from to a lower "
            "layer"
        )
    upper.trainable = True
    if options.batch_norm == "frozen":
        freeze_batch_norm(upper)
    top = keras.Model.from_config(head.get_config())  # clone_model also clones the loss
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
