"""Decodes dense head outputs to boxes with core TensorFlow operations only."""

from typing import TYPE_CHECKING

from core.models.explain.explanation import MAX_BOXES

if TYPE_CHECKING:
    import tensorflow as tf

CANDIDATES = 2 * MAX_BOXES  # peaks before non-maximum suppression
MIN_HEAT = 0.01  # of a peak
_MAX_SIDE = 2.0  # of a box, relative to the square


def average_members(outputs: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor]":
    """Averages the ensemble members: heat as probability, log sizes and offsets.

    Args:
      outputs: float32 [n, h, w, 5] of each member.

    Returns:
      Heat, float32 [n, h, w], 0..1, and geometry, float32 [n, h, w, 4].
    """
    import tensorflow as tf

    heat = tf.add_n([tf.sigmoid(output[..., 0]) for output in outputs]) / len(outputs)
    geometry = tf.add_n([output[..., 1:5] for output in outputs]) / len(outputs)
    return heat, geometry


def decode_boxes(
    heat: "tf.Tensor", geometry: "tf.Tensor", nms_iou: float
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Converts the peaks of the heat map to boxes, with non-maximum suppression.

    A peak is a cell that no neighbor exceeds.

    Args:
      heat: float32 [n, h, w], 0..1.
      geometry: float32 [n, h, w, 4]: log height and width (relative to the square), offset of the
        box center from the corner of the cell in y and x (cells).
      nms_iou: of two boxes that overlap more, the weaker one is removed.

    Returns:
      Boxes, float32 [n, MAX_BOXES, 4] in "model" coordinates, clipped to 0..1, best first, padded
      with zeros; and their heat, float32 [n, MAX_BOXES], padded with -1.
    """
    import tensorflow as tf

    rows, columns = int(heat.shape[1]), int(heat.shape[2])
    neighborhood = tf.nn.max_pool2d(heat[..., tf.newaxis], 3, 1, "SAME")[..., 0]
    peaks = tf.where((heat >= neighborhood) & (heat >= MIN_HEAT), heat, -1.0)
    flat = tf.reshape(peaks, [-1, rows * columns])
    scores, cells = tf.math.top_k(flat, min(CANDIDATES, rows * columns))
    values = tf.gather(tf.reshape(geometry, [-1, rows * columns, 4]), cells, axis=1, batch_dims=1)
    y = (tf.cast(cells // columns, tf.float32) + values[..., 2]) / rows
    x = (tf.cast(cells % columns, tf.float32) + values[..., 3]) / columns
    sides = tf.minimum(tf.exp(tf.minimum(values[..., :2], 1.0)), _MAX_SIDE)
    center, half = tf.stack([y, x], axis=-1), sides / 2
    boxes = tf.clip_by_value(tf.concat([center - half, center + half], axis=-1), 0.0, 1.0)
    scores = non_max_suppression(boxes, scores, nms_iou)
    missing = max(0, MAX_BOXES - scores.shape[1])  # the grid may have fewer cells
    scores = tf.pad(scores, [[0, 0], [0, missing]], constant_values=-1.0)
    boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0]])
    scores, order = tf.math.top_k(scores, MAX_BOXES)
    boxes = tf.gather(boxes, order, axis=1, batch_dims=1)
    return tf.where(scores[..., tf.newaxis] >= 0, boxes, 0.0), scores


def non_max_suppression(boxes: "tf.Tensor", scores: "tf.Tensor", nms_iou: float) -> "tf.Tensor":
    """Greedy non-maximum suppression.

    Args:
      boxes: float32 [n, k, 4].
      scores: float32 [n, k], descending; negative: no box.
      nms_iou: of two boxes that overlap more, the weaker one is removed.

    Returns:
      The scores; -1 for removed boxes.
    """
    import tensorflow as tf

    k = int(boxes.shape[1])
    overlaps = pairwise_iou(boxes) > nms_iou
    kept = scores >= 0
    for i in range(k - 1):
        weaker = tf.constant([[j > i for j in range(k)]])
        kept = kept & ~(kept[:, i : i + 1] & overlaps[:, i] & weaker)
    return tf.where(kept, scores, -1.0)


def pairwise_iou(boxes: "tf.Tensor") -> "tf.Tensor":
    """Returns the IoU of each pair of boxes, float32 [n, k, k]; 0 if both have no area."""
    import tensorflow as tf

    low = tf.maximum(boxes[:, :, tf.newaxis, :2], boxes[:, tf.newaxis, :, :2])
    high = tf.minimum(boxes[:, :, tf.newaxis, 2:], boxes[:, tf.newaxis, :, 2:])
    intersection = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    area = tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    union = area[:, :, tf.newaxis] + area[:, tf.newaxis] - intersection
    return tf.math.divide_no_nan(intersection, union)


def apply_operating_point(
    boxes: "tf.Tensor", heat: "tf.Tensor", score: "tf.Tensor", combine: str, shrink: float
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Resizes and scores decoded boxes with the settings chosen on validation.

    Args:
      boxes: float32 [n, k, 4].
      heat: float32 [n, k], -1: no box.
      score: float32 [n], calibrated probability of the image.
      combine: "heat", "product" or "geometric", see `core.metrics.boxes.operating_point`.
      shrink: factor on the sides, about the center.

    Returns:
      Boxes, and their scores combined from heat and probability, -1: no box. The order does not
      change, because all boxes of an image share one probability.

    Raises:
      ValueError: unknown value of `combine`.
    """
    import tensorflow as tf

    joint = heat * score[:, tf.newaxis]
    if combine == "heat":
        scores = heat
    elif combine == "product":
        scores = joint
    elif combine == "geometric":
        scores = tf.sqrt(tf.maximum(joint, 0.0))
    else:
        raise ValueError(f"combine must be heat, product or geometric, not {combine!r}")
    exists = heat >= 0
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) * (shrink / 2)
    resized = tf.clip_by_value(tf.concat([center - half, center + half], axis=-1), 0.0, 1.0)
    return tf.where(exists[..., tf.newaxis], resized, 0.0), tf.where(exists, scores, -1.0)
