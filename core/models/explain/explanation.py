"""Heat map and boxes of an image, as returned by an explain function."""

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

MAX_BOXES: Final = 16  # per image


class Explanation(NamedTuple):
    """Heat and boxes of n images; all float32.

    "Model" coordinates are relative to the model's square, 0..1, (ymin, xmin, ymax, xmax).

    Attributes:
      heat: [n, h, w], 0..1; covers the model's square, in cells of equal size.
      boxes: [n, K, 4] in "model" coordinates, best first, padded with zeros; K <= MAX_BOXES.
      box_scores: [n, K], 0..1, padded with -1.
      logits: [n, members, classes], of the same forward pass; if None, the SavedModel runs the
        network a second time.
    """

    heat: "tf.Tensor"
    boxes: "tf.Tensor"
    box_scores: "tf.Tensor"
    logits: "tf.Tensor | None" = None
