"""Forward pass of a frozen backbone as a traced function, in float32 or bfloat16."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.models.backbones import split_backbone
from core.models.head import pool

if TYPE_CHECKING:
    import tensorflow as tf


# A graph with constants is one protobuf message of at most 2 GB; larger backbones keep variables.
MAX_FROZEN_BYTES = 500 * 2**20


@dataclass(frozen=True)
class BackboneForward:
    """A backbone as TensorFlow functions; each is traced on its first call.

    Attributes:
      whole: uint8 [n, s, s, 1] -> (pooled float32 [n, 2 * channels], map at the layer or None).
      below: uint8 [n, s, s, 1] -> map at the layer only; None for layer "top".
      models: the models below and above the layer; the reference keeps their variables alive.
    """

    whole: Callable[["tf.Tensor"], tuple["tf.Tensor", "tf.Tensor | None"]]
    below: Callable[["tf.Tensor"], "tf.Tensor"] | None
    models: tuple[Any, Any]


@dataclass(frozen=True)
class SelectedForward:
    """A forward pass, the selected compute type and the cost of its precision.

    Attributes:
      forward: the backbone.
      compute: float32 or bfloat16.
      storage_noise: of float16 storage, see `storage_noise`.
      agreement: with float32 on one batch, see `compare_features`; empty for float32.
      images_per_second: of each compute type, on one batch after a warm-up; empty if only one
        was built.
    """

    forward: BackboneForward
    compute: str
    storage_noise: float
    agreement: dict[str, float]
    images_per_second: dict[str, float]


def build_forward(
    name: str, size: int, weights: str | None, layer: str, compute: str, seed: int = 0
) -> BackboneForward:
    """Builds the forward pass of a backbone.

    Args:
      name: key of `BACKBONES`.
      size: image side, pixels.
      weights: "imagenet" or a weight file; None: random weights.
      layer: layer whose activation is returned besides the pooled output; "top": none.
      compute: float32 or bfloat16; weights are float32 in both cases.
      seed: of random weights; the Trainer builds the same network from it.
    """
    import keras
    import tensorflow as tf

    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if compute == "bfloat16" else "float32")
    try:
        lower, upper = split_backbone(name, size, weights, layer)
    finally:
        keras.config.set_dtype_policy(policy)

    signature = [tf.TensorSpec([None, size, size, 1], tf.uint8)]

    @tf.function(input_signature=signature, autograph=False)
    def whole(pixels: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor | None"]:
        at_layer = lower(tf.cast(pixels, tf.float32), training=False)
        top = at_layer if upper is None else upper(at_layer, training=False)
        pooled = pool(tf.cast(top, tf.float32), "both")
        return pooled, None if upper is None else tf.cast(at_layer, tf.float32)

    @tf.function(input_signature=signature, autograph=False)
    def below(pixels: "tf.Tensor") -> "tf.Tensor":
        return tf.cast(lower(tf.cast(pixels, tf.float32), training=False), tf.float32)

    models = (lower, upper)
    if upper is None:
        return BackboneForward(_frozen(whole, models), None, models)
    return BackboneForward(_frozen(whole, models), _frozen(below, models), models)


def _frozen(function: Any, models: tuple[Any, Any]) -> Callable[["tf.Tensor"], Any]:
    """Replaces variables by constants on the first call.

    Grappler then folds batch normalization into the preceding convolution, which saves a tenth of
    the work for InceptionV3 and a sixth for Xception.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    variables = [v for model in models if model for v in model.variables]
    weights = sum(math.prod(v.shape) * 4 for v in variables)
    if weights > MAX_FROZEN_BYTES:
        return function

    @functools.cache
    def constant() -> tuple[Any, Any]:
        traced = function.get_concrete_function()
        return convert_variables_to_constants_v2(traced), traced.structured_outputs

    def call(pixels: "tf.Tensor") -> Any:
        run, structure = constant()
        values = iter(tf.nest.flatten(run(tf.convert_to_tensor(pixels, tf.uint8))))
        # A frozen function omits outputs that are None; the structure contains them.
        outputs = [
            None if output is None else next(values) for output in tf.nest.flatten(structure)
        ]
        return tf.nest.pack_sequence_as(structure, outputs)

    return call


def select_forward(
    name: str,
    size: int,
    weights: str | None,
    layer: str,
    compute: str,
    sample: np.ndarray,
    seed: int = 0,
) -> SelectedForward:
    """Builds the forward pass with the configured compute type and measures its precision.

    "auto" measures the speed of both types: processors with bfloat16 instructions are often slower
    in bfloat16.

    Args:
      name: key of `BACKBONES`.
      size: image side, pixels.
      weights: "imagenet" or a weight file; None: random weights.
      layer: see `build_forward`.
      compute: float32, bfloat16, or auto (the faster of the two on this machine).
      sample: uint8 [n, size, size, 1], at least one image.
      seed: of random weights.
    """
    kinds = ("float32",) if compute == "float32" else ("float32", "bfloat16")
    forwards: dict[str, BackboneForward] = {}
    outputs: dict[str, np.ndarray] = {}
    rates: dict[str, float] = {}
    for kind in kinds:
        forwards[kind] = build_forward(name, size, weights, layer, kind, seed)
        outputs[kind] = forwards[kind].whole(sample)[0].numpy()
        if len(kinds) == 1:
            break  # nothing to compare
        started = time.monotonic()
        forwards[kind].whole(sample)
        rates[kind] = round(len(sample) / (time.monotonic() - started), 2)
    selected = max(rates, key=rates.__getitem__) if compute == "auto" else compute
    agreement: dict[str, Any] = {}
    if selected != "float32":
        agreement = compare_features(outputs["float32"], outputs[selected])
    noise = storage_noise(outputs[selected])
    return SelectedForward(forwards[selected], selected, noise, agreement, rates)


def storage_noise(features: np.ndarray) -> float:
    """Returns the error of float16 storage relative to the spread of a feature.

    The head scales each feature to unit variance, so the error matters relative to the standard
    deviation, not to the value. The features of a random backbone are small and nearly constant:
    float16 would store their mean and lose the variation.

    Args:
      features: float32 [n, channels].

    Returns:
      Median over features of (root mean square error / standard deviation over images); 0 if no
      feature varies, infinity if float16 cannot represent a value.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        error = features.astype(np.float16).astype(np.float64) - features
        spread = features.astype(np.float64).std(axis=0)
        rms = np.sqrt((error**2).mean(axis=0))
    varies = spread > 1e-6 * np.abs(features).max(axis=0)
    if not np.isfinite(rms).all():
        return float("inf")
    return float(np.median(rms[varies] / spread[varies])) if varies.any() else 0.0


def compare_features(exact: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Compares features [n, c] with exact ones.

    Returns:
      `cosine`: smallest cosine similarity over images; `relative`: largest absolute difference
      divided by the standard deviation of the exact features.
    """
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (exact * other).sum(axis=1) / np.maximum(norms, 1e-30)
    spread = float(exact.std()) or 1.0
    return {
        "cosine": float(cosine.min()),
        "relative": float(np.abs(exact - other).max() / spread),
    }
