"""What the dense head says -> boxes, in core operations that any server of TensorFlow runs."""

from typing import TYPE_CHECKING

from core.models.explain.explanation import MAX_BOXES

if TYPE_CHECKING:
    import tensorflow as tf

CANDIDATES = 2 * MAX_BOXES  # peaks that go into suppression
MIN_HEAT = 0.01  # heat below which a peak is none
_LARGEST = 2.0  # sides beyond this part of the square are no sides


def average_members(outputs: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor]":
    """Averages members: the heat as probability, sizes (their logarithms) and offsets.

    Args:
      outputs: of each member, float32 [n, h, w, 5].

    Returns:
      heat float32 [n, h, w], 0..1, and geometry float32 [n, h, w, 4].
    """
    import tensorflow as tf

    heat = tf.add_n([tf.sigmoid(of[..., 0]) for of in outputs]) / len(outputs)
    geometry = tf.add_n([of[..., 1:5] for of in outputs]) / len(outputs)
    return heat, geometry


def decode_boxes(
    heat: "tf.Tensor", geometry: "tf.Tensor", nms_iou: float
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Peaks of the heat -> boxes without doubles.

    A peak is a cell that no neighbour exceeds. Greedy suppression: the strongest box stays, those
    that overlap it by more than `nms_iou` go, and so on.

    Args:
      heat: float32 [n, h, w], 0..1.
      geometry: float32 [n, h, w, 4]: log height and width (parts of the square), offset of the
        centre from the corner of the cell in y and x (cells).
      nms_iou: see above.

    Returns:
      boxes float32 [n, MAX_BOXES, 4] in "model" coordinates within 0..1, best first, zeros after
      the last; their heat float32 [n, MAX_BOXES], -1 after the last.
    """
    import tensorflow as tf

    rows, columns = int(heat.shape[1]), int(heat.shape[2])
    around = tf.nn.max_pool2d(heat[..., tf.newaxis], 3, 1, "SAME")[..., 0]
    peaks = tf.where((heat >= around) & (heat >= MIN_HEAT), heat, -1.0)
    flat = tf.reshape(peaks, [-1, rows * columns])
    scores, at = tf.math.top_k(flat, min(CANDIDATES, rows * columns))
    found = tf.gather(tf.reshape(geometry, [-1, rows * columns, 4]), at, axis=1, batch_dims=1)
    y = (tf.cast(at // columns, tf.float32) + found[..., 2]) / rows
    x = (tf.cast(at % columns, tf.float32) + found[..., 3]) / columns
    sides = tf.minimum(tf.exp(tf.minimum(found[..., :2], 1.0)), _LARGEST)
    middle, half = tf.stack([y, x], axis=-1), sides / 2
    boxes = tf.clip_by_value(tf.concat([middle - half, middle + half], axis=-1), 0.0, 1.0)
    scores = non_max_suppression(boxes, scores, nms_iou)
    short = max(0, MAX_BOXES - scores.shape[1])  # a grid of fewer cells
    scores = tf.pad(scores, [[0, 0], [0, short]], constant_values=-1.0)
    boxes = tf.pad(boxes, [[0, 0], [0, short], [0, 0]])
    scores, order = tf.math.top_k(scores, MAX_BOXES)
    boxes = tf.gather(boxes, order, axis=1, batch_dims=1)
    return tf.where(scores[..., tf.newaxis] >= 0, boxes, 0.0), scores


def non_max_suppression(boxes: "tf.Tensor", scores: "tf.Tensor", nms_iou: float) -> "tf.Tensor":
    """Greedy non-maximum suppression.

    Args:
      boxes: float32 [n, k, 4].
      scores: float32 [n, k], falling; negative: no box.
      nms_iou: of two boxes that overlap more, the weaker one goes.

    Returns:
      the scores, -1 for boxes that go.
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
    """Intersection over union of each pair, float32 [n, k, k]; 0 where neither has an area."""
    import tensorflow as tf

    low = tf.maximum(boxes[:, :, tf.newaxis, :2], boxes[:, tf.newaxis, :, :2])
    high = tf.minimum(boxes[:, :, tf.newaxis, 2:], boxes[:, tf.newaxis, :, 2:])
    both = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    area = tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    either = area[:, :, tf.newaxis] + area[:, tf.newaxis] - both
    return tf.math.divide_no_nan(both, either)


def apply_operating_point(
    boxes: "tf.Tensor", heat: "tf.Tensor", score: "tf.Tensor", combine: str, shrink: float
) -> "tuple[tf.Tensor, tf.Tensor]":
    """What validation chose, done to decoded boxes.

    Args:
      boxes: float32 [n, k, 4].
      heat: float32 [n, k], -1 where there is no box.
      score: float32 [n], calibrated probability of the image.
      combine: "heat", "product" or "geometric", see `core.metrics.boxes.operating_point.combined`.
      shrink: factor of the sides, about the centre.

    Returns:
      boxes, and their scores: heat and probability combined, -1 where there is no box. The order
      stays: one probability goes into all boxes of an image.

    Raises:
      ValueError: another way to combine.
    """
    import tensorflow as tf

    joint = heat * score[:, tf.newaxis]
    if combine == "heat":
        found = heat
    elif combine == "product":
        found = joint
    elif combine == "geometric":
        found = tf.sqrt(tf.maximum(joint, 0.0))
    else:
        raise ValueError(f"unknown way {combine!r} to combine scores")
    there = heat >= 0
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) * (shrink / 2)
    smaller = tf.clip_by_value(tf.concat([middle - half, middle + half], axis=-1), 0.0, 1.0)
    return tf.where(there[..., tf.newaxis], smaller, 0.0), tf.where(there, found, -1.0)
