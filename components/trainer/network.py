"""The network that is exported: one trunk, and a member of the ensemble for each seed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from components.trainer.head import pool

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class Member:
    """What one seed learned.

    Attributes:
      head: pooled features -> logits [n, classes].
      upper: activation at the cut -> trunk's output; None where the trunk stayed as it was.
    """

    head: "keras.Model"
    upper: "keras.Model | None"


@dataclass(frozen=True)
class Network:
    """A trunk's frozen part and the members on top of it.

    Attributes:
      lower: gray pixels float32 [n, size, size, 1] in 0..255 -> activation at the cut.
      members: at least one.
      pooling: avg, max or both.
    """

    lower: "keras.Model"
    members: tuple[Member, ...]
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
        """Numbers in the trunk and in all members."""
        models = {id(model): model for model in self._models()}
        return int(sum(model.count_params() for model in models.values()))

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """float32 [n, size, size, 1] -> logits float32 [n, members, classes]."""
        import tensorflow as tf

        at_cut = self.lower(pixels, training=False)
        shared = None
        logits = []
        for member in self.members:
            if member.upper is None:
                shared = pool(at_cut, self.pooling) if shared is None else shared
                features = shared
            else:
                features = pool(member.upper(at_cut, training=False), self.pooling)
            logits.append(tf.cast(member.head(features, training=False), tf.float32))
        return tf.stack(logits, axis=1)


def moments(features: np.ndarray, rows: int = 4096) -> tuple[np.ndarray, np.ndarray]:
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
