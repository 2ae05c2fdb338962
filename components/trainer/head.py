"""The head: from the trunk's pooled features to logits."""

from typing import TYPE_CHECKING

from components.trainer.options import ModelOptions

if TYPE_CHECKING:
    import keras
    import numpy as np


def pool(features: "keras.KerasTensor", pooling: str) -> "keras.KerasTensor":
    """Global pooling: [n, h, w, channels] -> [n, channels]."""
    import keras

    layers = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }
    return layers[pooling](name=f"global_{pooling}_pooling")(features)


def build_head(
    mean: "np.ndarray", deviation: "np.ndarray", classes: int, options: ModelOptions
) -> "keras.Model":
    """Builds the head; its first layer centres and scales each feature.

    Trunks differ in the scale of their output by orders of magnitude (random ones above all); with
    unit variance one learning rate serves them all.

    Args:
      mean: float32 [channels], of the training features.
      deviation: float32 [channels], standard deviation of the training features, above 0.
      classes: number of classes.
      options: dense layers and dropout.

    Returns:
      A model, float32 [n, channels] -> logits float32 [n, classes].
    """
    import keras

    features = keras.Input((len(mean),), name="features")
    # Not keras.layers.Normalization: it takes a deviation below 1e-7 for 1e-7, and the features of
    # a random trunk may be a millionth of that.
    x = keras.layers.Rescaling(1.0, offset=(-mean).tolist(), name="centre")(features)
    x = keras.layers.Rescaling((1.0 / deviation).tolist(), name="scale")(x)
    for i, size in enumerate(options.dense):
        x = keras.layers.Dropout(options.dropout, name=f"dropout_{i}")(x)
        x = keras.layers.Dense(size, activation="relu", name=f"dense_{i}")(x)
    x = keras.layers.Dropout(options.dropout, name="dropout")(x)
    # Zeros: an untrained head is exactly undecided, and says so.
    logits = keras.layers.Dense(classes, kernel_initializer="zeros", name="logits")(x)
    return keras.Model(features, logits, name="head")
