"""What a network learns: its loss, and what is told of it beside the loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from components.trainer.losses import partial_cross_entropy

if TYPE_CHECKING:
    import tensorflow as tf

# (targets [n, ...], outputs [n, ...]) -> float32 [n]
OfImages = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]


@dataclass(frozen=True)
class Objective:
    """Losses and measures; each gives a number for each image.

    Attributes:
      shape: of the targets of one image.
      learned: the loss that is minimised.
      judged: the loss on validation, by which the best epoch is chosen.
      measures: name -> what else the curves show.
    """

    shape: tuple[int, ...]
    learned: OfImages
    judged: OfImages
    measures: Mapping[str, OfImages] = field(default_factory=dict)


def of_classes(classes: int, label_smoothing: float, focal_gamma: float | None) -> Objective:
    """Classes that an image is compatible with, from logits; see `partial_cross_entropy`."""

    def learned(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
        return partial_cross_entropy(
            targets, logits, label_smoothing=label_smoothing, focal_gamma=focal_gamma
        )

    return Objective((classes,), learned, partial_cross_entropy, {"accuracy": _hit})


def _hit(targets: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """1 where the likeliest class is compatible."""
    import tensorflow as tf

    return tf.gather(targets, tf.argmax(logits, axis=-1), axis=1, batch_dims=1)
