"""Classification network: one frozen backbone and an ensemble member for each seed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.models.head import pool

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class EnsembleMember:
    """Models trained with one seed.

    Attributes:
      head: pooled features -> logits [n, classes].
      upper: fine-tuned part of the backbone: activation at the layer -> backbone output; None if
        the backbone is frozen.
    """

    head: "keras.Model"
    upper: "keras.Model | None"


@dataclass(frozen=True)
class ClassifierNetwork:
    """The frozen part of a backbone and the ensemble members that use it.

    Attributes:
      lower: gray pixels float32 [n, size, size, 1] in 0..255 -> activation at the layer.
      members: at least one.
      pooling: avg, max or both.
    """

    lower: "keras.Model"
    members: tuple[EnsembleMember, ...]
    pooling: str

    @property
    def size(self) -> int:
        """Image side, pixels."""
        return int(self.lower.input_shape[1])

    @property
    def variables(self) -> "list[keras.Variable]":
        """All variables, without duplicates."""
        variables: dict[int, keras.Variable] = {}
        for model in self._models():
            variables.update({id(variable): variable for variable in model.variables})
        return list(variables.values())

    def _models(self) -> "list[keras.Model]":
        parts = [part for member in self.members for part in (member.upper, member.head)]
        return [self.lower, *(part for part in parts if part is not None)]

    def count_params(self) -> int:
        """Returns the number of parameters of the backbone and all members."""
        models = {id(model): model for model in self._models()}
        return int(sum(model.count_params() for model in models.values()))

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Predicts logits, float32 [n, members, classes], from float32 [n, size, size, 1]."""
        return self.logits_of(self.activations(pixels))

    def activations(self, pixels: "tf.Tensor") -> "list[tf.Tensor]":
        """Returns the backbone output for each member, [n, h, w, c].

        Members that share the backbone share the tensor.

        Args:
          pixels: float32 [n, size, size, 1], 0..255.
        """
        at_layer = self.lower(pixels, training=False)
        return [
            at_layer if member.upper is None else member.upper(at_layer, training=False)
            for member in self.members
        ]

    def logits_of(self, activations: "list[tf.Tensor]") -> "tf.Tensor":
        """Predicts logits, float32 [n, members, classes], from the result of `activations`."""
        import tensorflow as tf

        logits = [
            tf.cast(member.head(pooled, training=False), tf.float32)
            for member, pooled in zip(self.members, self._pooled(activations), strict=True)
        ]
        return tf.stack(logits, axis=1)

    def folded(self) -> "ClassifierNetwork":
        """Returns the network with batch normalization folded into the convolutions."""
        from core.models.fold_batch_norm import fold_batch_norm

        members = [
            EnsembleMember(
                member.head, fold_batch_norm(member.upper) if member.upper is not None else None
            )
            for member in self.members
        ]
        return ClassifierNetwork(fold_batch_norm(self.lower), tuple(members), self.pooling)

    def features(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Returns the pooled features of images, float32 [n, d].

        With a fine-tuned backbone: the mean over the members.

        Args:
          pixels: float32 [n, size, size, 1], 0..255.
        """
        import tensorflow as tf

        pooled = self._pooled(self.activations(pixels))
        if all(member.upper is None for member in self.members):
            return tf.cast(pooled[0], tf.float32)
        return tf.reduce_mean(tf.cast(tf.stack(pooled), tf.float32), axis=0)

    def _pooled(self, activations: "list[tf.Tensor]") -> "list[tf.Tensor]":
        """Pools the activation of each member; pools a shared tensor once."""
        pooled = {id(x): pool(x, self.pooling) for x in activations}
        return [pooled[id(x)] for x in activations]


def feature_moments(features: np.ndarray, rows: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each feature, float32 [channels] each.

    The deviation of a constant feature (up to float32 rounding) is 1, so scaling maps it to 0.

    Args:
      features: [n, channels].
      rows: rows per step.
    """
    total = np.zeros(features.shape[1], np.float64)
    for start in range(0, len(features), rows):
        total += features[start : start + rows].astype(np.float64).sum(axis=0)
    mean = total / len(features)
    squares = np.zeros_like(mean)
    for start in range(0, len(features), rows):
        squares += ((features[start : start + rows].astype(np.float64) - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / len(features))
    deviation[deviation <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)
