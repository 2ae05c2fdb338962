"""Augmentation: random changes of position, brightness and contrast, as between two exposures."""

import math
from typing import TYPE_CHECKING

from core.models.options import AugmentOptions

if TYPE_CHECKING:
    import tensorflow as tf

MIN_VISIBLE = 0.3  # part of a moved box that must lie in the image


def augment(images: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Augments each image of a batch with its own random parameters.

    Rotation, zoom and shift are a single resampling, so an image is blurred only once; contrast
    about the image's mean, brightness and noise follow, with one rounding at the end. Options of 0
    are skipped; if all are 0, the images are returned unchanged. Each kind of change has its own
    stateless random numbers, so switching one off does not affect the others.

    Args:
      images: uint8 [n, h, w, 1].
      options: strength of each change.
      seed: int32 [2]; the same seed gives the same result.

    Returns:
      uint8 [n, h, w, 1].
    """
    import tensorflow as tf

    flip_seed, geometry_seed, exposure_seed, noise_seed = _split_seed(seed)
    if options.flip:
        flipped = _draw_flips(tf.shape(images)[0], flip_seed)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        images = tf.where(flipped, images[:, :, ::-1], images)
    if options.rotation or options.shift or options.zoom:
        x = _resample(tf.cast(images, tf.float32), options, geometry_seed)
    elif options.contrast or options.brightness or options.noise:
        x = tf.cast(images, tf.float32)
    else:
        return images
    x = _change_exposure(x, options, exposure_seed)
    if options.noise:
        x += 255.0 * options.noise * tf.random.stateless_normal(tf.shape(x), noise_seed)
    return tf.cast(tf.clip_by_value(tf.round(x), 0.0, 255.0), tf.uint8)


def augment_boxes(
    boxes: "tf.Tensor", side: int, options: AugmentOptions, seed: "tf.Tensor"
) -> "tf.Tensor":
    """Applies the geometric changes of `augment` to the boxes of the images.

    The corners are transformed; the result is the axis-aligned box around them, clipped at the
    border of the image. A box is dropped if less than `MIN_VISIBLE` of it remains.

    Args:
      boxes: float32 [n, k, 4], ymin, xmin, ymax, xmax relative to the image; NaN: no box.
      side: of the square images, pixels.
      options: as for `augment`.
      seed: as for `augment`.

    Returns:
      float32 [n, k, 4]; NaN for missing and dropped boxes.
    """
    import tensorflow as tf

    flip_seed, geometry_seed, _, _ = _split_seed(seed)
    n = tf.shape(boxes)[0]
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    if options.flip:
        flipped = _draw_flips(n, flip_seed)[:, tf.newaxis]
        xmin, xmax = tf.where(flipped, 1 - xmax, xmin), tf.where(flipped, 1 - xmin, xmax)
    if options.rotation or options.shift or options.zoom:
        size = tf.constant([side, side], tf.float32)
        cos, sin, to_x, to_y = (
            value[:, tf.newaxis, tf.newaxis]
            for value in _draw_transform(n, size, options, geometry_seed)
        )
        # Pixel coordinates are relative to the center of the first pixel.
        x = tf.stack([xmin, xmax, xmin, xmax], axis=-1) * side - 0.5 - to_x
        y = tf.stack([ymin, ymin, ymax, ymax], axis=-1) * side - 0.5 - to_y
        # Inverse of `_draw_transform`, which maps the result to the image.
        square = cos**2 + sin**2
        x, y = (cos * x + sin * y) / square, (cos * y - sin * x) / square
        center = (side - 1) / 2
        x, y = (x + center + 0.5) / side, (y + center + 0.5) / side
        ymin, ymax = tf.reduce_min(y, axis=-1), tf.reduce_max(y, axis=-1)
        xmin, xmax = tf.reduce_min(x, axis=-1), tf.reduce_max(x, axis=-1)
    moved = tf.stack([ymin, xmin, ymax, xmax], axis=-1)
    clipped = tf.clip_by_value(moved, 0.0, 1.0)
    before, after = (tf.reduce_prod(b[..., 2:] - b[..., :2], axis=-1) for b in (moved, clipped))
    # Comparisons with NaN are false, so missing boxes stay NaN.
    return tf.where((after >= MIN_VISIBLE * before)[..., tf.newaxis], clipped, float("nan"))


def _split_seed(seed: "tf.Tensor") -> "list[tf.Tensor]":
    """Returns independent seeds for flip, geometry, exposure and noise."""
    import tensorflow as tf

    return tf.unstack(tf.random.experimental.stateless_split(seed, 4))


def _draw_flips(n: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
    """Returns which images are flipped, bool [n]."""
    import tensorflow as tf

    return tf.random.stateless_uniform([n, 1, 1, 1], seed)[:, 0, 0, 0] < 0.5


def _draw_uniform(n: "tf.Tensor", columns: int, seed: "tf.Tensor") -> "list[tf.Tensor]":
    """Returns `columns` tensors, float32 [n] each, uniform in -1..1."""
    import tensorflow as tf

    return tf.unstack(tf.random.stateless_uniform([columns, n], seed, -1.0, 1.0))


def _resample(x: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Rotates and zooms about the center, then shifts; float32 [n, h, w, 1], bilinear.

    Outside the image the border is repeated. Black would add straight edges of full contrast,
    which the validation images do not have; reflection would duplicate anatomy.
    """
    import tensorflow as tf

    shape = tf.shape(x)
    size = tf.cast(shape[1:3], tf.float32)
    cos, sin, to_x, to_y = _draw_transform(shape[0], size, options, seed)
    center_y, center_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    zero = tf.zeros_like(cos)
    transforms = tf.stack(
        [
            cos,
            -sin,
            to_x - cos * center_x + sin * center_y,
            sin,
            cos,
            to_y - sin * center_x - cos * center_y,
            zero,
            zero,
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


def _draw_transform(
    n: "tf.Tensor", size: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]":
    """Draws the transforms from pixel coordinates of the result to those of the image.

    Returns:
      cos, sin (both times the zoom), x, y, float32 [n] each: the point at offset (a, b) from the
      center of the result is (x + cos a - sin b, y + sin a + cos b) in the image.
    """
    import tensorflow as tf

    turn, scale, right, down = _draw_uniform(n, 4, seed)
    angle = turn * (options.rotation * math.pi / 180)
    factor = 1.0 / (1.0 + scale * options.zoom)
    to_x = (size[1] - 1) / 2 + right * options.shift * size[1]
    to_y = (size[0] - 1) / 2 + down * options.shift * size[0]
    return tf.cos(angle) * factor, tf.sin(angle) * factor, to_x, to_y


def _change_exposure(x: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Changes contrast about the mean of each image, then brightness; float32 [n, h, w, 1]."""
    import tensorflow as tf

    contrast, brightness = (
        value[:, tf.newaxis, tf.newaxis, tf.newaxis]
        for value in _draw_uniform(tf.shape(x)[0], 2, seed)
    )
    if options.contrast:
        mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
        x = mean + (x - mean) * (1.0 + contrast * options.contrast)
    if options.brightness:
        x += 255.0 * options.brightness * brightness
    return x
