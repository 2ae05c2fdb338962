"""Weak boxes: bounding boxes of the hot regions of a heat map, without training on boxes.

Uses core TensorFlow operations only, for the SavedModel. The boxes of an image do not depend on the
other images of the batch, bit for bit.
"""

from typing import TYPE_CHECKING, Final

from core.models.explain.explanation import MAX_BOXES

if TYPE_CHECKING:
    import tensorflow as tf

DEFAULT_FRACTION: Final = 0.5  # of the maximum heat of the image
MIN_AREA: Final = 0.005  # relative to the image; the smallest true boxes cover about 0.01
_SIDE: Final = 32  # minimum side of the upsampled map, so box edges can lie between its cells


def weak_boxes(
    heat: "tf.Tensor", fraction: float = DEFAULT_FRACTION
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns the bounding boxes of regions with at least `fraction` of the maximum heat.

    Regions are 8-connected. The score of a box is the mean heat of its region.

    Args:
      heat: float32 [n, h, w], nonnegative.
      fraction: above 0, at most 1.

    Returns:
      Boxes, float32 [n, MAX_BOXES, 4], relative to the map (ymin, xmin, ymax, xmax), best first,
      padded with zeros; and scores, float32 [n, MAX_BOXES], padded with -1. An image without heat
      has no boxes.
    """
    import tensorflow as tf

    fine = upsample(heat)
    height, width = fine.shape[1:]
    largest = tf.reduce_max(fine, axis=[1, 2], keepdims=True)
    hot = (fine >= fraction * largest) & (largest > 0)
    labels = connected_components(hot)
    count, cells = tf.shape(fine)[0], height * width
    # One segment per component, by the index of its last cell; segment 0 is the background.
    segment = labels + (cells + 1) * tf.range(count)[:, tf.newaxis, tf.newaxis]
    row, column = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")

    def per_component(reduce: "object", values: "tf.Tensor") -> "tf.Tensor":
        flat = tf.reshape(values * tf.ones_like(fine, values.dtype), [-1])
        reduced = reduce(flat, tf.reshape(segment, [-1]), count * (cells + 1))  # type: ignore[operator]
        return tf.reshape(reduced, [count, cells + 1])[:, 1:]

    area = per_component(tf.math.unsorted_segment_sum, tf.ones_like(fine))
    total = per_component(tf.math.unsorted_segment_sum, fine)
    large = area >= max(1.0, MIN_AREA * cells)
    score = tf.where(large, total / tf.maximum(area, 1.0), -1.0)
    scores, components = tf.math.top_k(score, MAX_BOXES)
    sides = [
        per_component(tf.math.unsorted_segment_min, row) / height,
        per_component(tf.math.unsorted_segment_min, column) / width,
        (per_component(tf.math.unsorted_segment_max, row) + 1) / height,
        (per_component(tf.math.unsorted_segment_max, column) + 1) / width,
    ]
    boxes = tf.stack([tf.gather(side, components, batch_dims=1) for side in sides], axis=-1)
    boxes = tf.where(scores[..., tf.newaxis] >= 0, tf.cast(boxes, tf.float32), 0.0)
    return boxes, scores


def upsample(heat: "tf.Tensor", side: int = _SIDE) -> "tf.Tensor":
    """Upsamples a map [n, h, w] bilinearly by an integer factor to at least `side` cells."""
    import tensorflow as tf

    height, width = heat.shape[1:]
    factor = max(1, -(-side // min(height, width)))
    shape = [factor * height, factor * width]
    return tf.image.resize(heat[..., tf.newaxis], shape, method="bilinear")[..., 0]


def connected_components(hot: "tf.Tensor") -> "tf.Tensor":
    """Labels 8-connected components: bool [n, h, w] -> int32 [n, h, w], 0 for the background.

    The label of a component is the largest index of its cells, counted from 1. Indices propagate to
    the eight neighbors until nothing changes.
    """
    import tensorflow as tf

    height, width = hot.shape[1:]
    indices = tf.reshape(tf.range(1.0, height * width + 1.0), [1, height, width, 1])
    mask = tf.cast(hot, tf.float32)[..., tf.newaxis]

    def step(labels: "tf.Tensor", _: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        dilated = tf.nn.max_pool2d(labels, 3, 1, "SAME") * mask
        return dilated, tf.reduce_any(tf.not_equal(dilated, labels))

    labels, _ = tf.while_loop(
        lambda _, changed: changed,
        step,
        (indices * mask, tf.constant(True)),
        maximum_iterations=height * width,
    )
    return tf.cast(labels[..., 0], tf.int32)
