"""Weak boxes: around the hot places of a heat map of a network that never saw a box.

In TensorFlow's core ops alone, so that a SavedModel can hold them. An image's boxes do not depend
on what else is in the batch, to the last bit.
"""

from typing import TYPE_CHECKING, Final

from core.models.explain.explanation import MAX_BOXES

if TYPE_CHECKING:
    import tensorflow as tf

PART: Final = 0.5  # of the image's hottest place, from which on a place is hot
LEAST_AREA: Final = 0.005  # of the image; the smallest true boxes cover about a hundredth
_SIDE: Final = 32  # the map is drawn this fine, so that edges of boxes fall between its cells


def weak_boxes(heat: "tf.Tensor", part: float = PART) -> "tuple[tf.Tensor, tf.Tensor]":
    """Boxes around what is at least `part` as hot as the image's hottest place.

    Places touch when they share a side or a corner. A box's score is the mean heat of its hot
    places.

    Args:
      heat: float32 [n, h, w], 0 or more.
      part: above 0, at most 1.

    Returns:
      boxes float32 [n, MAX_BOXES, 4] in parts of the map (ymin, xmin, ymax, xmax), best first,
      zeros after the last; scores float32 [n, MAX_BOXES], -1 after the last. An image without
      heat has none.
    """
    import tensorflow as tf

    fine = finer(heat)
    height, width = fine.shape[1:]
    most = tf.reduce_max(fine, axis=[1, 2], keepdims=True)
    hot = (fine >= part * most) & (most > 0)
    labels = connected_components(hot)
    count, cells = tf.shape(fine)[0], height * width
    # Every component by the place of its last cell; segment 0 of an image is what is not hot.
    segment = labels + (cells + 1) * tf.range(count)[:, tf.newaxis, tf.newaxis]
    row, column = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")

    def gathered(reduce: "object", values: "tf.Tensor") -> "tf.Tensor":
        spread = tf.reshape(values * tf.ones_like(fine, values.dtype), [-1])
        found = reduce(spread, tf.reshape(segment, [-1]), count * (cells + 1))  # type: ignore[operator]
        return tf.reshape(found, [count, cells + 1])[:, 1:]

    area = gathered(tf.math.unsorted_segment_sum, tf.ones_like(fine))
    total = gathered(tf.math.unsorted_segment_sum, fine)
    large = area >= max(1.0, LEAST_AREA * cells)
    score = tf.where(large, total / tf.maximum(area, 1.0), -1.0)
    scores, chosen = tf.math.top_k(score, MAX_BOXES)
    sides = [
        gathered(tf.math.unsorted_segment_min, row) / height,
        gathered(tf.math.unsorted_segment_min, column) / width,
        (gathered(tf.math.unsorted_segment_max, row) + 1) / height,
        (gathered(tf.math.unsorted_segment_max, column) + 1) / width,
    ]
    boxes = tf.stack([tf.gather(side, chosen, batch_dims=1) for side in sides], axis=-1)
    boxes = tf.where(scores[..., tf.newaxis] >= 0, tf.cast(boxes, tf.float32), 0.0)
    return boxes, scores


def finer(heat: "tf.Tensor", side: int = _SIDE) -> "tf.Tensor":
    """A map [n, h, w] drawn smoothly on cells a whole number of times finer."""
    import tensorflow as tf

    height, width = heat.shape[1:]
    times = max(1, -(-side // min(height, width)))
    sides = [times * height, times * width]
    return tf.image.resize(heat[..., tf.newaxis], sides, method="bilinear")[..., 0]


def connected_components(hot: "tf.Tensor") -> "tf.Tensor":
    """Labels of connected places: bool [n, h, w] -> int32 [n, h, w], 0 where it is not hot.

    A component is called by the greatest number of its places, counted from 1. Numbers spread to
    their eight neighbours until none changes.
    """
    import tensorflow as tf

    height, width = hot.shape[1:]
    numbers = tf.reshape(tf.range(1.0, height * width + 1.0), [1, height, width, 1])
    inside = tf.cast(hot, tf.float32)[..., tf.newaxis]

    def step(labels: "tf.Tensor", _: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        wider = tf.nn.max_pool2d(labels, 3, 1, "SAME") * inside
        return wider, tf.reduce_any(tf.not_equal(wider, labels))

    labels, _ = tf.while_loop(
        lambda _, changed: changed,
        step,
        (numbers * inside, tf.constant(True)),
        maximum_iterations=height * width,
    )
    return tf.cast(labels[..., 0], tf.int32)
