"""Random changes of radiographs, such as another exposure of the same patient could show."""

import math
from typing import TYPE_CHECKING

from components.trainer.options import AugmentOptions

if TYPE_CHECKING:
    import tensorflow as tf


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

    mirror, place, grey, grain = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    if options.flip:
        chosen = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], mirror) < 0.5
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
    turn, scale, right, down = _either_way(shape[0], 4, seed)
    angle = turn * (options.rotation * math.pi / 180)
    factor = 1.0 / (1.0 + scale * options.zoom)
    cos, sin = tf.cos(angle) * factor, tf.sin(angle) * factor
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    # From a place in the result to a place in the image.
    to_x = middle_x + right * options.shift * size[1]
    to_y = middle_y + down * options.shift * size[0]
    none = tf.zeros_like(angle)
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
