"""From the model's square to the displayed image: boxes and heat, inside the graph."""

from typing import TYPE_CHECKING, Final

import tensorflow as tf

from core.images.boxes import fit_boxes, unfit_boxes
from serving.export.guard import OK, Images

if TYPE_CHECKING:
    from core.models.explain.explanation import Explanation

NO_BOX: Final = -1.0  # in the place of a score


def shown_boxes(found: "Explanation", threshold: float) -> "Explanation":
    """The boxes at or above a threshold; they are the first ones."""
    kept = found.box_scores >= threshold
    boxes = tf.where(kept[..., tf.newaxis], found.boxes, 0.0)
    return found._replace(boxes=boxes, box_scores=tf.where(kept, found.box_scores, NO_BOX))


def displayed_boxes(
    found: "Explanation", height: tf.Tensor, width: tf.Tensor, fit: str, size: int
) -> tf.Tensor:
    """Boxes of the model's square -> in parts of the displayed image, 0 where there is none."""
    boxes = unfit_boxes(found.boxes, height, width, fit, size)
    there = found.box_scores[..., tf.newaxis] >= 0
    return tf.where(there, tf.clip_by_value(boxes, 0.0, 1.0), 0.0)


def boxes_in_pixels(found: "Explanation", images: Images, fit: str) -> dict[str, tf.Tensor]:
    """`boxes` and `box_scores` of the signatures for clients."""
    good = tf.equal(images.status, OK)[:, tf.newaxis]
    height, width = tf.unstack(tf.maximum(images.sides, 1), axis=1)
    boxes = displayed_boxes(found, height, width, fit, images.pixels.shape[1])
    sides = tf.cast(tf.concat([images.sides, images.sides], axis=1), tf.float32)
    return {
        "boxes": boxes * sides[:, tf.newaxis],  # sides are 0 where an image is rejected
        "box_scores": tf.where(good, found.box_scores, NO_BOX),
    }


def displayed_heat(heat: tf.Tensor, sides: tf.Tensor, fit: str, size: int) -> tf.Tensor:
    """Heat of the model's square -> of the displayed image: borders cut off, drawn anew.

    Args:
      heat: float32 [n, h, w]; covers the square.
      sides: int64 [n, 2], height and width of the displayed image.
      fit: "stretch" (nothing to be done) or "pad".
      size: side of the square, pixels.

    Returns:
      float32 [n, h, w]; covers the displayed image. Linear between the centres of cells.
    """
    if fit == "stretch":
        return heat
    height, width = tf.unstack(tf.maximum(sides, 1), axis=1)
    whole = tf.tile(tf.constant([[0.0, 0.0, 1.0, 1.0]]), [tf.shape(heat)[0], 1])
    window = fit_boxes(whole, height, width, fit, size)

    def weights(cells: int, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """Of each cell of the square in each of the picture's, [n, cells, cells]."""
        middle = (tf.range(cells, dtype=tf.float32) + 0.5) / cells
        at = start[:, tf.newaxis] + middle * (end - start)[:, tf.newaxis]
        at = tf.clip_by_value(at * cells - 0.5, 0.0, cells - 1.0)
        apart = tf.abs(at[..., tf.newaxis] - tf.range(cells, dtype=tf.float32))
        return tf.nn.relu(1.0 - apart)

    rows = weights(heat.shape[1], window[:, 0], window[:, 2])
    columns = weights(heat.shape[2], window[:, 1], window[:, 3])
    return rows @ heat @ tf.transpose(columns, [0, 2, 1])
