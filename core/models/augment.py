"""Random changes of radiographs, such as another exposure of the same patient could show."""

import math
from typing import TYPE_CHECKING

from core.models.options import AugmentOptions

if TYPE_CHECKING:
    import tensorflow as tf

LEFT = 0.3  # part of a moved box that must lie in the image


def augment(images: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Changes each image of a batch in its own way.

    Rotation, zoom and shift are one resampling, so that an image is blurred once; then contrast
    about the image's mean, brightness, and noise, rounded once at the end. What is 0 in the options
    is left out; all 0 gives the images themselves. Random numbers are stateless, and each kind of
    change has its own: switching one off leaves the others as they were.

    Args:
      images: uint8 [n, h, w, 1].
      options: how far each change may go.
      seed: int32 [2]; the same seed gives the same result.

    Returns:
      uint8 [n, h, w, 1].
    """
    import tensorflow as tf

    mirror, place, grey, grain = _kinds(seed)
    if options.flip:
        chosen = _mirrored(tf.shape(images)[0], mirror)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        images = tf.where(chosen, images[:, :, ::-1], images)
    if options.rotation or options.shift or options.zoom:
        x = _moved(tf.cast(images, tf.float32), options, place)
    elif options.contrast or options.brightness or options.noise:
        x = tf.cast(images, tf.float32)
    else:
        return images
    x = _exposed(x, options, grey)
    if options.noise:
        x += 255.0 * options.noise * tf.random.stateless_normal(tf.shape(x), grain)
    return tf.cast(tf.clip_by_value(tf.round(x), 0.0, 255.0), tf.uint8)


def augment_boxes(
    boxes: "tf.Tensor", side: int, options: AugmentOptions, seed: "tf.Tensor"
) -> "tf.Tensor":
    """Moves boxes as `augment` moves the images that they are in.

    The corners are moved; the box is then the upright one around them, cut at the border of the
    image. One of which less than `LEFT` is left is dropped.

    Args:
      boxes: float32 [n, k, 4], ymin, xmin, ymax, xmax in parts of the image; NaN: no box.
      side: of the square images, pixels.
      options: as for `augment`.
      seed: as for `augment`.

    Returns:
      float32 [n, k, 4]; NaN where there was no box or it was dropped.
    """
    import tensorflow as tf

    mirror, place, _, _ = _kinds(seed)
    n = tf.shape(boxes)[0]
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    if options.flip:
        chosen = _mirrored(n, mirror)[:, tf.newaxis]
        xmin, xmax = tf.where(chosen, 1 - xmax, xmin), tf.where(chosen, 1 - xmin, xmax)
    if options.rotation or options.shift or options.zoom:
        size = tf.constant([side, side], tf.float32)
        cos, sin, to_x, to_y = (
            value[:, tf.newaxis, tf.newaxis] for value in _placing(n, size, options, place)
        )
        # Places in pixels count from the middle of the first one.
        x = tf.stack([xmin, xmax, xmin, xmax], axis=-1) * side - 0.5 - to_x
        y = tf.stack([ymin, ymin, ymax, ymax], axis=-1) * side - 0.5 - to_y
        # `_placing` goes from the result to the image; back is the other way round.
        square = cos**2 + sin**2
        x, y = (cos * x + sin * y) / square, (cos * y - sin * x) / square
        middle = (side - 1) / 2
        x, y = (x + middle + 0.5) / side, (y + middle + 0.5) / side
        ymin, ymax = tf.reduce_min(y, axis=-1), tf.reduce_max(y, axis=-1)
        xmin, xmax = tf.reduce_min(x, axis=-1), tf.reduce_max(x, axis=-1)
    moved = tf.stack([ymin, xmin, ymax, xmax], axis=-1)
    cut = tf.clip_by_value(moved, 0.0, 1.0)
    before, after = (tf.reduce_prod(of[..., 2:] - of[..., :2], axis=-1) for of in (moved, cut))
    # Not a number compares as false: what was no box stays none.
    return tf.where((after >= LEFT * before)[..., tf.newaxis], cut, float("nan"))


def _kinds(seed: "tf.Tensor") -> "list[tf.Tensor]":
    """A seed of its own for mirroring, place, exposure and grain."""
    import tensorflow as tf

    return tf.unstack(tf.random.experimental.stateless_split(seed, 4))


def _mirrored(n: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
    """Which images are mirrored, bool [n]."""
    import tensorflow as tf

    return tf.random.stateless_uniform([n, 1, 1, 1], seed)[:, 0, 0, 0] < 0.5


def _either_way(n: "tf.Tensor", columns: int, seed: "tf.Tensor") -> "list[tf.Tensor]":
    """Uniform in -1..1: `columns` tensors, float32 [n] each."""
    import tensorflow as tf

    return tf.unstack(tf.random.stateless_uniform([columns, n], seed, -1.0, 1.0))


def _moved(x: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Rotates and zooms about the middle, then shifts; float32 [n, h, w, 1], bilinear.

    What comes in from outside repeats the border. Black would put edges into the picture, straight
    and of full contrast, that the validation images do not have; mirroring would put anatomy there.
    """
    import tensorflow as tf

    shape = tf.shape(x)
    size = tf.cast(shape[1:3], tf.float32)
    cos, sin, to_x, to_y = _placing(shape[0], size, options, seed)
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    none = tf.zeros_like(cos)
    transforms = tf.stack(
        [
            cos,
            -sin,
            to_x - cos * middle_x + sin * middle_y,
            sin,
            cos,
            to_y - sin * middle_x - cos * middle_y,
            none,
            none,
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=x,
        transforms=transforms,
        output_shape=shape[1:3],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _placing(
    n: "tf.Tensor", size: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]":
    """From a place in the result to a place in the image, in pixels from the middle of the first.

    Returns:
      cos, sin (times the zoom), x, y, float32 [n] each: the place (a, b) from the middle of the
      result comes from (x + cos a - sin b, y + sin a + cos b) of the image.
    """
    import tensorflow as tf

    turn, scale, right, down = _either_way(n, 4, seed)
    angle = turn * (options.rotation * math.pi / 180)
    factor = 1.0 / (1.0 + scale * options.zoom)
    to_x = (size[1] - 1) / 2 + right * options.shift * size[1]
    to_y = (size[0] - 1) / 2 + down * options.shift * size[0]
    return tf.cos(angle) * factor, tf.sin(angle) * factor, to_x, to_y


def _exposed(x: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Contrast about the mean of each image, then brightness; float32 [n, h, w, 1]."""
    import tensorflow as tf

    contrast, brightness = (
        value[:, tf.newaxis, tf.newaxis, tf.newaxis]
        for value in _either_way(tf.shape(x)[0], 2, seed)
    )
    if options.contrast:
        mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
        x = mean + (x - mean) * (1.0 + contrast * options.contrast)
    if options.brightness:
        x += 255.0 * options.brightness * brightness
    return x
