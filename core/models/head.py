"""Classification head: pooled backbone features -> logits."""

from typing import TYPE_CHECKING, Any

from core.models.options import ModelOptions

if TYPE_CHECKING:
    import keras
    import numpy as np


def pool(features: "keras.KerasTensor", pooling: str) -> Any:
    """Global pooling: [n, h, w, c] -> [n, c], or [n, 2 c] for "both" (average first).

    Accepts tensors and symbolic Keras tensors.
    """
    import keras

    average = keras.ops.mean(features, axis=(1, 2)) if pooling != "max" else None
    largest = keras.ops.max(features, axis=(1, 2)) if pooling != "avg" else None
    if average is None or largest is None:
        return largest if average is None else average
    return keras.ops.concatenate([average, largest], axis=-1)


def select_pooling(features: "np.ndarray", pooling: str) -> "np.ndarray":
    """Returns a view of the columns of a pooling in [n, 2 c] (averages, then maxima)."""
    half = features.shape[1] // 2
    return {"avg": features[:, :half], "max": features[:, half:], "both": features}[pooling]


def build_head(
    mean: "np.ndarray",
    deviation: "np.ndarray",
    classes: int,
    options: ModelOptions,
    two_stage: bool = False,
    positive: tuple[int, ...] = (),
    seed: int = 0,
) -> "keras.Model":
    """Builds the head; its first layers standardize each feature.

    The output scale of backbones differs by orders of magnitude, in particular with random weights;
    with unit variance one learning rate works for all of them.

    Args:
      mean: float32 [channels], of the training features.
      deviation: float32 [channels], standard deviation of the training features, above 0.
      classes: number of classes.
      options: dense layers, activation, batch normalization, dropout, L2.
      two_stage: predict "positive or not" first, then the positive class.
      positive: indices of the positive classes, for two stages.
      seed: of the weights and of dropout.

    Returns:
      A model, float32 [n, channels] -> logits float32 [n, classes]. The logits of a two-stage head
      are log-probabilities, which softmax maps to the probabilities.

    Raises:
      ValueError: two stages need exactly one class that is not positive.
    """
    import keras
    import numpy as np

    # Not seed, seed + 1, ...: members with adjacent seeds would share dropout masks.
    seeds = (np.random.SeedSequence(seed).generate_state(2 * len(options.dense) + 1) >> 1).tolist()
    penalty = keras.regularizers.L2(options.l2) if options.l2 else None
    features = keras.Input((len(mean),), name="features")
    # Not keras.layers.Normalization, which bounds the deviation at 1e-7: the features of a random
    # backbone can be a millionth of that.
    x = keras.layers.Rescaling(1.0, offset=(-mean).tolist(), name="center")(features)
    x = keras.layers.Rescaling((1.0 / deviation).tolist(), name="scale")(x)
    for i, size in enumerate(options.dense):
        x = keras.layers.Dropout(options.dropout, seed=seeds[2 * i], name=f"dropout_{i}")(x)
        x = keras.layers.Dense(
            size,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seeds[2 * i + 1]),
            kernel_regularizer=penalty,
            name=f"dense_{i}",
        )(x)
        if options.batch_norm:
            x = keras.layers.BatchNormalization(name=f"batch_norm_{i}")(x)
        x = keras.layers.Activation(options.activation, name=f"activation_{i}")(x)
    x = keras.layers.Dropout(options.dropout, seed=seeds[-1], name="dropout")(x)
    # With zeros, an untrained head predicts equal probabilities.
    last = keras.layers.Dense(
        1 + len(positive) if two_stage else classes,
        kernel_initializer="zeros",
        kernel_regularizer=penalty,
        name="stages" if two_stage else "logits",
    )(x)
    logits = _combine_stages(last, classes, positive) if two_stage else last
    return keras.Model(features, logits, name="head")


def _combine_stages(stages: "keras.KerasTensor", classes: int, positive: tuple[int, ...]) -> Any:
    """Converts the outputs of the stages to log-probabilities of the classes.

    log P(negative) = log sigmoid(-a); log P(k) = log sigmoid(a) + log softmax(b)_k.
    """
    import keras

    negative = [i for i in range(classes) if i not in positive]
    if len(negative) != 1:
        raise ValueError(f"a two-stage head needs exactly one negative class, not {len(negative)}")
    first, second = stages[:, :1], stages[:, 1:]
    positive_logs = keras.ops.log_sigmoid(first) + keras.ops.log_softmax(second, axis=-1)
    parts = {negative[0]: keras.ops.log_sigmoid(-first)}
    for rank, i in enumerate(positive):
        parts[i] = positive_logs[:, rank : rank + 1]
    return keras.ops.concatenate([parts[i] for i in range(classes)], axis=-1)
