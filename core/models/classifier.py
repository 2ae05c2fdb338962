"""The network that is exported: one backbone, and a member of the ensemble for each seed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.models.head import pool

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class EnsembleMember:
    """What one seed learned.

    Attributes:
      head: pooled features -> logits [n, classes].
      upper: activation at the layer -> backbone's output; None where the backbone stayed as it was.
    """

    head: "keras.Model"
    upper: "keras.Model | None"


@dataclass(frozen=True)
class ClassifierNetwork:
    """A backbone's frozen part and the members on top of it.

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
        """Side of the images, pixels."""
        return int(self.lower.input_shape[1])

    @property
    def variables(self) -> "list[keras.Variable]":
        """Every variable, each once."""
        found: dict[int, keras.Variable] = {}
        for model in self._models():
            found.update({id(variable): variable for variable in model.variables})
        return list(found.values())

    def _models(self) -> "list[keras.Model]":
        parts = [part for member in self.members for part in (member.upper, member.head)]
        return [self.lower, *(part for part in parts if part is not None)]

    def count_params(self) -> int:
        """Numbers in the backbone and in all members."""
        models = {id(model): model for model in self._models()}
        return int(sum(model.count_params() for model in models.values()))

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """float32 [n, size, size, 1] -> logits float32 [n, members, classes]."""
        return self.logits_of(self.activations(pixels))

    def activations(self, pixels: "tf.Tensor") -> "list[tf.Tensor]":
        """float32 [n, size, size, 1] -> the backbone's output for each member, [n, h, w, c].

        The same tensor where members share the backbone.
        """
        at_layer = self.lower(pixels, training=False)
        return [
            at_layer if member.upper is None else member.upper(at_layer, training=False)
            for member in self.members
        ]

    def logits_of(self, activations: "list[tf.Tensor]") -> "tf.Tensor":
        """What `activations` gave -> logits float32 [n, members, classes]."""
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
        """float32 [n, size, size, 1] -> what the heads see, float32 [n, d].

        Where members have blocks of their own: the mean over members.
        """
        import tensorflow as tf

        pooled = self._pooled(self.activations(pixels))
        if all(member.upper is None for member in self.members):
            return tf.cast(pooled[0], tf.float32)
        return tf.reduce_mean(tf.cast(tf.stack(pooled), tf.float32), axis=0)

    def _pooled(self, activations: "list[tf.Tensor]") -> "list[tf.Tensor]":
        """The pooled features of each member; the same tensor where they share the backbone."""
        pooled = {id(one): pool(one, self.pooling) for one in activations}
        return [pooled[id(one)] for one in activations]


def feature_moments(features: np.ndarray, rows: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, float32 [channels] each, `rows` at a time.

    A feature that never changes, beyond the rounding of float32, gets 1: scaling leaves it at 0.
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
