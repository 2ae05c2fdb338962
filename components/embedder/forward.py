"""The lower part of a trunk as one traced function, in the number type that serves best."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.trainer.head import pool
from components.trainer.trunks import split_trunk

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Forward:
    """The trunk, traced; each function is traced at its first call.

    Attributes:
      whole: uint8 [n, s, s, 1] -> (pooled float32 [n, 2 * channels], map at the cut or None).
      below: uint8 [n, s, s, 1] -> map at the cut; does not run what lies above it. None for "top".
      models: below and above the cut; a function alone would let go of their variables.
    """

    whole: Callable[["tf.Tensor"], tuple["tf.Tensor", "tf.Tensor | None"]]
    below: Callable[["tf.Tensor"], "tf.Tensor"] | None
    models: tuple[Any, Any]


@dataclass(frozen=True)
class Chosen:
    """A forward function and how it was chosen.

    Attributes:
      run: the function.
      compute: float32 or bfloat16.
      agreement: against float32 on one batch: `cosine` (the least over images) and `relative`
        (largest |difference| / standard deviation of the features); empty for float32.
      images_per_second: of each type that was timed, on one batch after a warm-up.
      storage_noise: see `storage_noise`, for float16.
    """

    run: Forward
    compute: str
    storage_noise: float
    agreement: dict[str, float]
    images_per_second: dict[str, float]


def build_forward(
    name: str, size: int, weights: str | None, cut: str, compute: str, seed: int = 0
) -> Forward:
    """Builds and wraps a trunk; traced at its first call.

    Args:
      name: of the trunk.
      size: side of the images, pixels.
      weights: None (random), "imagenet" or a file.
      cut: "top", or the cut whose activation is wanted beside the pooled output.
      compute: float32 or bfloat16 (weights stay float32).
      seed: of random weights; the Trainer builds the same network from it.
    """
    import keras
    import tensorflow as tf

    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_bfloat16" if compute == "bfloat16" else "float32")
    try:
        lower, upper = split_trunk(name, size, weights, cut)
    finally:
        keras.config.set_dtype_policy(policy)

    pixels_of = [tf.TensorSpec([None, size, size, 1], tf.uint8)]

    @tf.function(input_signature=pixels_of, autograph=False)
    def whole(pixels: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor | None"]:
        at_cut = lower(tf.cast(pixels, tf.float32), training=False)
        top = at_cut if upper is None else upper(at_cut, training=False)
        pooled = pool(tf.cast(top, tf.float32), "both")
        return pooled, None if upper is None else tf.cast(at_cut, tf.float32)

    @tf.function(input_signature=pixels_of, autograph=False)
    def below(pixels: "tf.Tensor") -> "tf.Tensor":
        return tf.cast(lower(tf.cast(pixels, tf.float32), training=False), tf.float32)

    return Forward(whole, None if upper is None else below, (lower, upper))


def choose_forward(
    name: str,
    size: int,
    weights: str | None,
    cut: str,
    compute: str,
    sample: np.ndarray,
    seed: int = 0,
) -> Chosen:
    """Builds the forward function that the options ask for, and says what it costs in precision.

    Processors that name bfloat16 among their instructions are often slower in it; "auto" therefore
    looks at the clock and not at the name.

    Args:
      compute: float32, bfloat16, or auto (the faster of both on this machine).
      sample: uint8 [n, size, size, 1], at least one image.
      seed: of random weights.
    """
    kinds = ("float32",) if compute == "float32" else ("float32", "bfloat16")
    forwards: dict[str, Forward] = {}
    outputs: dict[str, np.ndarray] = {}
    rates: dict[str, float] = {}
    for kind in kinds:
        forwards[kind] = build_forward(name, size, weights, cut, kind, seed)
        outputs[kind] = forwards[kind].whole(sample)[0].numpy()
        started = time.monotonic()
        forwards[kind].whole(sample)
        rates[kind] = round(len(sample) / (time.monotonic() - started), 2)
    chosen = max(rates, key=lambda kind: rates[kind]) if compute == "auto" else compute
    agreement: dict[str, Any] = {}
    if chosen != "float32":
        agreement = agreement_of(outputs["float32"], outputs[chosen])
    noise = storage_noise(outputs[chosen])
    return Chosen(forwards[chosen], chosen, noise, agreement, rates)


def storage_noise(features: np.ndarray) -> float:
    """What float16 costs: error over spread, of the median feature.

    A head scales every feature to unit spread, so the error counts against that and not against
    the value. Features of a random trunk are tiny and nearly constant: float16 would store their
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


def agreement_of(exact: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """How far features [n, c] are from exact ones: least cosine, largest difference in sigmas."""
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (exact * other).sum(axis=1) / np.maximum(norms, 1e-30)
    spread = float(exact.std()) or 1.0
    return {
        "cosine": float(cosine.min()),
        "relative": float(np.abs(exact - other).max() / spread),
    }
