"""The lower part of a backbone as one traced function, in the number type that serves best."""

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


# Constants travel in one message of at most 2 GB; the largest backbones stay as they are.
FREEZE_BELOW = 500 * 2**20  # bytes of weights


@dataclass(frozen=True)
class BackboneForward:
    """The backbone, traced; each function is traced at its first call.

    Attributes:
      whole: uint8 [n, s, s, 1] -> (pooled float32 [n, 2 * channels], map at the layer or None).
      below: uint8 [n, s, s, 1] -> map at the layer, without running the rest. None for "top".
      models: below and above the layer; a function alone would let go of their variables.
    """

    whole: Callable[["tf.Tensor"], tuple["tf.Tensor", "tf.Tensor | None"]]
    below: Callable[["tf.Tensor"], "tf.Tensor"] | None
    models: tuple[Any, Any]


@dataclass(frozen=True)
class SelectedForward:
    """A forward function and how it was chosen.

    Attributes:
      run: the function.
      compute: float32 or bfloat16.
      agreement: against float32 on one batch: `cosine` (the least over images) and `relative`
        (largest |difference| / standard deviation of the features); empty for float32.
      images_per_second: of each type, on one batch after a warm-up; empty where only one counts.
      storage_noise: see `storage_noise`, for float16.
    """

    run: BackboneForward
    compute: str
    storage_noise: float
    agreement: dict[str, float]
    images_per_second: dict[str, float]


def build_forward(
    name: str, size: int, weights: str | None, layer: str, compute: str, seed: int = 0
) -> BackboneForward:
    """Builds and wraps a backbone; traced at its first call.

    Args:
      name: of the backbone.
      size: side of the images, pixels.
      weights: None (random), "imagenet" or a file.
      layer: "top", or the layer whose activation is wanted beside the pooled output.
      compute: float32 or bfloat16 (weights stay float32).
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

    pixels_of = [tf.TensorSpec([None, size, size, 1], tf.uint8)]

    @tf.function(input_signature=pixels_of, autograph=False)
    def whole(pixels: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor | None"]:
        at_layer = lower(tf.cast(pixels, tf.float32), training=False)
        top = at_layer if upper is None else upper(at_layer, training=False)
        pooled = pool(tf.cast(top, tf.float32), "both")
        return pooled, None if upper is None else tf.cast(at_layer, tf.float32)

    @tf.function(input_signature=pixels_of, autograph=False)
    def below(pixels: "tf.Tensor") -> "tf.Tensor":
        return tf.cast(lower(tf.cast(pixels, tf.float32), training=False), tf.float32)

    models = (lower, upper)
    if upper is None:
        return BackboneForward(_frozen(whole, models), None, models)
    return BackboneForward(_frozen(whole, models), _frozen(below, models), models)


def _frozen(function: Any, models: tuple[Any, Any]) -> Callable[["tf.Tensor"], Any]:
    """The same function with its weights as constants, made at the first call.

    Batch normalisation of constants folds into the convolution before it: a tenth less work for
    InceptionV3, a sixth for Xception.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    variables = [v for model in models if model for v in model.variables]
    weights = sum(math.prod(v.shape) * 4 for v in variables)
    if weights > FREEZE_BELOW:
        return function

    @functools.cache
    def constant() -> tuple[Any, Any]:
        traced = function.get_concrete_function()
        return convert_variables_to_constants_v2(traced), traced.structured_outputs

    def call(pixels: "tf.Tensor") -> Any:
        run, structure = constant()
        given = iter(tf.nest.flatten(run(tf.convert_to_tensor(pixels, tf.uint8))))
        # A frozen function leaves out what was None; nest counts it.
        outputs = [None if of is None else next(given) for of in tf.nest.flatten(structure)]
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
    """Builds the forward function that the options ask for, and says what it costs in precision.

    Processors that name bfloat16 among their instructions are often slower in it; "auto" therefore
    looks at the clock and not at the name.

    Args:
      compute: float32, bfloat16, or auto (the faster of both on this machine).
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
            break  # nothing to compare it with
        started = time.monotonic()
        forwards[kind].whole(sample)
        rates[kind] = round(len(sample) / (time.monotonic() - started), 2)
    chosen = max(rates, key=rates.__getitem__) if compute == "auto" else compute
    agreement: dict[str, Any] = {}
    if chosen != "float32":
        agreement = compare_features(outputs["float32"], outputs[chosen])
    noise = storage_noise(outputs[chosen])
    return SelectedForward(forwards[chosen], chosen, noise, agreement, rates)


def storage_noise(features: np.ndarray) -> float:
    """What float16 costs: error over spread, of the median feature.

    A head scales every feature to unit spread, so the error counts against that and not against
    the value. Features of a random backbone are tiny and nearly constant: float16 would store their
    mean and lose the rest.

    Args:
      features: float32 [n, channels].

    Returns:
      median over features of (root mean square error / standard deviation over images); 0 for
      features that do not vary, infinity where float16 cannot hold a value.
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
    """How far features [n, c] are from exact ones: least cosine, largest difference in sigmas."""
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (exact * other).sum(axis=1) / np.maximum(norms, 1e-30)
    spread = float(exact.std()) or 1.0
    return {
        "cosine": float(cosine.min()),
        "relative": float(np.abs(exact - other).max() / spread),
    }
