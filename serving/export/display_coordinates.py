"""Maps boxes and heat maps from the model's square to the displayed image, in the graph."""

from typing import TYPE_CHECKING, Final

import tensorflow as tf

from core.images.boxes import unfit_boxes
from core.images.rules import OK
from core.images.validate_tf import DecodedBatch

if TYPE_CHECKING:
    from core.models.explain.explanation import Explanation

NO_BOX: Final = -1.0  # score of an unused row of boxes


def keep_boxes_above(explanation: "Explanation", threshold: float) -> "Explanation":
    """Removes the boxes below a score threshold; boxes are sorted by falling score."""
    kept = explanation.box_scores >= threshold
    return explanation._replace(
        boxes=tf.where(kept[..., tf.newaxis], explanation.boxes, 0.0),
        box_scores=tf.where(kept, explanation.box_scores, NO_BOX),
    )


def relative_boxes(
    explanation: "Explanation", height: tf.Tensor, width: tf.Tensor, fit: str, size: int
) -> tf.Tensor:
    """Converts boxes to fractions of the displayed image.

    Args:
      explanation: with boxes in 0 to 1 of the model's square.
      height: of the displayed images, int64 [n], pixels.
      width: likewise.
      fit: "stretch", "pad" or "crop".
      size: side of the square, pixels.

    Returns:
      float32 [n, K, 4]: ymin, xmin, ymax, xmax in 0 to 1; zeros for an unused row.
    """
    boxes = unfit_boxes(explanation.boxes, height, width, fit, size)
    used = explanation.box_scores[..., tf.newaxis] >= 0
    return tf.where(used, tf.clip_by_value(boxes, 0.0, 1.0), 0.0)


def box_outputs(explanation: "Explanation", images: DecodedBatch, fit: str) -> dict[str, tf.Tensor]:
    """Returns the outputs `boxes`, in pixels of the displayed image, and `box_scores`."""
    valid = tf.equal(images.status, OK)[:, tf.newaxis]
    height, width = tf.unstack(tf.maximum(images.sides, 1), axis=1)
    boxes = relative_boxes(explanation, height, width, fit, images.pixels.shape[1])
    sides = tf.cast(tf.concat([images.sides, images.sides], axis=1), tf.float32)
    return {
        "boxes": tf.where(valid[..., tf.newaxis], boxes * sides[:, tf.newaxis], 0.0),
        "box_scores": tf.where(valid, explanation.box_scores, NO_BOX),
    }


def displayed_heat(heat: tf.Tensor, sides: tf.Tensor, fit: str, size: int) -> tf.Tensor:
    """Crops heat maps to the displayed image and resamples them linearly to the same shape.

    Args:
      heat: float32 [n, h, w], covering the model's square.
      sides: int64 [n, 2], height and width of the displayed images, pixels.
      fit: "stretch", which leaves the heat maps unchanged, "pad" or "crop".
      size: side of the square, pixels.

    Returns:
      float32 [n, h, w], covering the displayed image; 0 outside the crop.
    """
    if fit == "stretch":
        return heat
    height, width = tf.unstack(tf.maximum(sides, 1), axis=1)
    whole = tf.tile(tf.constant([[0.0, 0.0, 1.0, 1.0]]), [tf.shape(heat)[0], 1])
    square = unfit_boxes(whole, height, width, fit, size)  # in the displayed image

    def weights(cells: int, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """Returns the weight of each source cell in each target cell, [n, cells, cells]."""
        centers = (tf.range(cells, dtype=tf.float32) + 0.5) / cells
        at = (centers - start[:, tf.newaxis]) / (end - start)[:, tf.newaxis]
        cell = tf.clip_by_value(at * cells - 0.5, 0.0, cells - 1.0)
        distance = tf.abs(cell[..., tf.newaxis] - tf.range(cells, dtype=tf.float32))
        inside = tf.cast((at >= 0.0) & (at <= 1.0), tf.float32)
        return tf.nn.relu(1.0 - distance) * inside[..., tf.newaxis]

    rows = weights(heat.shape[1], square[:, 0], square[:, 2])
    columns = weights(heat.shape[2], square[:, 1], square[:, 3])
    return rows @ heat @ tf.transpose(columns, [0, 2, 1])
