"""Classification network: ensemble members, which may share the frozen part of a backbone."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.models.head import pool
from core.models.views import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import tensorflow as tf


@dataclass(frozen=True)
class EnsembleMember:
    """Models trained with one recipe and one seed.

    Attributes:
      lower: gray pixels float32 [n, size, size, 1] in 0..255 -> activation at the layer; frozen.
        Members of the same recipe share it.
      head: pooled features -> logits [n, classes].
      upper: fine-tuned part of the backbone: activation at the layer -> backbone output; None if
        the backbone is frozen.
      temperature: divides the logits (Guo et al., 2017).
    """

    lower: "keras.Model"
    head: "keras.Model"
    upper: "keras.Model | None" = None
    temperature: float = 1.0


@dataclass(frozen=True)
class ClassifierNetwork:
    """Ensemble members of one backbone or of several.

    Attributes:
      members: at least one; of the same image size and classes.
      pooling: avg, max or both.
      views: views of an image whose probabilities are averaged; empty: the image alone.
    """

    members: tuple[EnsembleMember, ...]
    pooling: str
    views: tuple[View, ...] = ()

    @property
    def size(self) -> int:
        """Image side, pixels."""
        return int(self.members[0].lower.input_shape[1])

    @property
    def variables(self) -> "list[keras.Variable]":
        """All variables, without duplicates."""
        variables: dict[int, keras.Variable] = {}
        for model in self._models():
            variables.update({id(variable): variable for variable in model.variables})
        return list(variables.values())

    def _models(self) -> "list[keras.Model]":
        parts = [part for one in self.members for part in (one.lower, one.upper, one.head)]
        return list({id(part): part for part in parts if part is not None}.values())

    def count_params(self) -> int:
        """Returns the number of parameters of the backbones and all members."""
        return int(sum(model.count_params() for model in self._models()))

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Predicts logits, float32 [n, members, classes], from float32 [n, size, size, 1].

        With views, the logarithm of each member's mean probabilities over them, divided by the
        member's temperature.
        """
        if not self.views:
            return self.logits_of(self.activations(pixels))
        import tensorflow as tf

        def log_probabilities(view: "tf.Tensor") -> "tf.Tensor":
            return tf.nn.log_softmax(self._head_outputs(self.activations(view)))

        # One after the other, so that the graph has one copy of the network and the memory use is
        # that of one view.
        classes = self.members[0].head.output_shape[-1]
        of_views = tf.map_fn(
            log_probabilities,
            tf.stack([view(pixels) for view in self.views]),
            parallel_iterations=1,
            fn_output_signature=tf.TensorSpec([None, len(self.members), classes], tf.float32),
        )
        mean = tf.reduce_logsumexp(of_views, axis=0) - math.log(len(self.views))
        return mean / self._temperatures()

    def with_temperatures(self, temperatures: "Sequence[float]") -> "ClassifierNetwork":
        """Returns the network with a temperature for each member."""
        members = [
            replace(member, temperature=temperature)
            for member, temperature in zip(self.members, temperatures, strict=True)
        ]
        return replace(self, members=tuple(members))

    def activations(self, pixels: "tf.Tensor") -> "list[tf.Tensor]":
        """Returns the backbone output for each member, [n, h, w, c].

        Members that share a frozen backbone share the tensor.

        Args:
          pixels: float32 [n, size, size, 1], 0..255.
        """
        lowers = {id(member.lower): member.lower for member in self.members}
        at_layer = {key: lower(pixels, training=False) for key, lower in lowers.items()}
        return [
            at_layer[id(member.lower)]
            if member.upper is None
            else member.upper(at_layer[id(member.lower)], training=False)
            for member in self.members
        ]

    def logits_of(self, activations: "list[tf.Tensor]") -> "tf.Tensor":
        """Predicts logits, float32 [n, members, classes], from the result of `activations`.

        Views are not considered.
        """
        return self._head_outputs(activations) / self._temperatures()

    def _temperatures(self) -> np.ndarray:
        return np.array([[member.temperature] for member in self.members], np.float32)

    def _head_outputs(self, activations: "list[tf.Tensor]") -> "tf.Tensor":
        import tensorflow as tf

        outputs = [
            tf.cast(member.head(pooled, training=False), tf.float32)
            for member, pooled in zip(self.members, self._pooled(activations), strict=True)
        ]
        return tf.stack(outputs, axis=1)

    def folded(self) -> "ClassifierNetwork":
        """Returns the network with batch normalization folded into the convolutions."""
        from core.models.fold_batch_norm import fold_batch_norm

        lowers = {id(member.lower): member.lower for member in self.members}
        folded = {key: fold_batch_norm(lower) for key, lower in lowers.items()}
        members = [
            replace(
                member,
                lower=folded[id(member.lower)],
                upper=fold_batch_norm(member.upper) if member.upper is not None else None,
            )
            for member in self.members
        ]
        return replace(self, members=tuple(members))

    def features(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Returns the pooled features of whole images, float32 [n, d].

        The mean over the members that share a frozen part; several of these are concatenated.

        Args:
          pixels: float32 [n, size, size, 1], 0..255.
        """
        import tensorflow as tf

        groups: dict[int, dict[int, tf.Tensor]] = {}
        for member, pooled in zip(
            self.members, self._pooled(self.activations(pixels)), strict=True
        ):
            groups.setdefault(id(member.lower), {})[id(pooled)] = tf.cast(pooled, tf.float32)
        means = [tf.reduce_mean(tf.stack(list(one.values())), axis=0) for one in groups.values()]
        return tf.concat(means, axis=1)

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
