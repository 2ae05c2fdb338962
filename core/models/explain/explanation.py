"""What a network says of places in an image."""

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

MAX_BOXES: Final = 16  # of an image


class Explanation(NamedTuple):
    """Heat and boxes of n images; all float32.

    "Model" coordinates are relative to the model's square, 0..1, (ymin, xmin, ymax, xmax).

    Attributes:
      heat: [n, h, w], 0..1; covers the model's square, in cells of equal size.
      boxes: [n, K, 4] in "model" coordinates, best first, zeros after the last; K <= MAX_BOXES.
      box_scores: [n, K], 0..1, -1 after the last.
      logits: [n, members, classes], of the same pass over the pixels; the SavedModel runs the
        network a second time where they are not given.
    """

    heat: "tf.Tensor"
    boxes: "tf.Tensor"
    box_scores: "tf.Tensor"
    logits: "tf.Tensor | None" = None
