"""Augmentation: random changes of position, brightness and contrast, as between two exposures."""

import math
from typing import TYPE_CHECKING

from core.models.options import AugmentOptions

if TYPE_CHECKING:
    import tensorflow as tf

MIN_VISIBLE = 0.3  # part of a moved box that must lie in the image


def augment(
    images: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor", side: int | None = None
) -> "tf.Tensor":
    """Augments each image of a batch with its own random parameters.

    Crop, rotation, zoom, shift and the change of size are a single resampling, so an image is
    blurred only once; gamma, contrast about the image's mean, brightness and noise follow, with one
    rounding at the end. Options of 0 are skipped; if all are off, the images are returned
    unchanged. Each kind of change has its own stateless random numbers, so switching one off does
    not affect the others.

    Args:
      images: uint8 [n, h, w, 1].
      options: strength of each change.
      seed: int32 [2]; the same seed gives the same result.
      side: of the result, pixels; None: the size of the images.

    Returns:
      uint8 [n, side, side, 1], or [n, h, w, 1] without a side.
    """
    import tensorflow as tf

    from core.images.resize_tf import resize_gray

    flip_seed, geometry_seed, exposure_seed, noise_seed, crop_seed, gamma_seed = _split_seed(seed)
    if options.flip:
        flipped = _draw_flips(tf.shape(images)[0], flip_seed)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        images = tf.where(flipped, images[:, :, ::-1], images)
    if options.moves:
        x = _resample(tf.cast(images, tf.float32), options, geometry_seed, crop_seed, side)
    else:
        if side is not None:
            images = tf.map_fn(lambda image: resize_gray(image, side, "stretch"), images)
        if not (options.gamma or options.contrast or options.brightness or options.noise):
            return images
        x = tf.cast(images, tf.float32)
    if options.gamma:
        x = _change_gamma(x, options, gamma_seed)
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

    flip_seed, geometry_seed, _, _, crop_seed, _ = _split_seed(seed)
    n = tf.shape(boxes)[0]
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    if options.flip:
        flipped = _draw_flips(n, flip_seed)[:, tf.newaxis]
        xmin, xmax = tf.where(flipped, 1 - xmax, xmin), tf.where(flipped, 1 - xmin, xmax)
    if options.moves:
        size = tf.constant([side, side], tf.float32)
        drawn = _draw_transform(n, size, size, options, geometry_seed, crop_seed)
        a, b, c, d, to_x, to_y = (value[:, tf.newaxis, tf.newaxis] for value in drawn)
        # Pixel coordinates are relative to the center of the first pixel.
        x = tf.stack([xmin, xmax, xmin, xmax], axis=-1) * side - 0.5 - to_x
        y = tf.stack([ymin, ymin, ymax, ymax], axis=-1) * side - 0.5 - to_y
        # Inverse of `_draw_transform`, which maps the result to the image.
        determinant = a * d - b * c
        x, y = (d * x - b * y) / determinant, (a * y - c * x) / determinant
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
    """Returns independent seeds for flip, geometry, exposure, noise, crop and gamma."""
    import tensorflow as tf

    return tf.unstack(tf.random.experimental.stateless_split(seed, 6))


def _draw_flips(n: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
    """Returns which images are flipped, bool [n]."""
    import tensorflow as tf

    return tf.random.stateless_uniform([n, 1, 1, 1], seed)[:, 0, 0, 0] < 0.5


def _draw_uniform(n: "tf.Tensor", columns: int, seed: "tf.Tensor") -> "list[tf.Tensor]":
    """Returns `columns` tensors, float32 [n] each, uniform in -1..1."""
    import tensorflow as tf

    return tf.unstack(tf.random.stateless_uniform([columns, n], seed, -1.0, 1.0))


def _resample(
    x: "tf.Tensor",
    options: AugmentOptions,
    seed: "tf.Tensor",
    crop_seed: "tf.Tensor",
    side: int | None,
) -> "tf.Tensor":
    """Crops, rotates, zooms and shifts; float32 [n, side, side, 1], bilinear.

    Outside the image the border is repeated. Black would add straight edges of full contrast,
    which the validation images do not have; reflection would duplicate anatomy.
    """
    import tensorflow as tf

    shape = tf.shape(x)
    output = shape[1:3] if side is None else tf.constant([side, side], tf.int32)
    size, output_size = tf.cast(shape[1:3], tf.float32), tf.cast(output, tf.float32)
    a, b, c, d, to_x, to_y = _draw_transform(shape[0], size, output_size, options, seed, crop_seed)
    center_y, center_x = (output_size[0] - 1) / 2, (output_size[1] - 1) / 2
    zero = tf.zeros_like(a)
    transforms = tf.stack(
        [
            a,
            b,
            to_x - a * center_x - b * center_y,
            c,
            d,
            to_y - c * center_x - d * center_y,
            zero,
            zero,
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=x,
        transforms=transforms,
        output_shape=output,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _draw_transform(
    n: "tf.Tensor",
    size: "tf.Tensor",
    output_size: "tf.Tensor",
    options: AugmentOptions,
    seed: "tf.Tensor",
    crop_seed: "tf.Tensor",
) -> "tuple[tf.Tensor, ...]":
    """Draws the transforms from pixel coordinates of the result to those of the image.

    Returns:
      a, b, c, d, x, y, float32 [n] each: the point at offset (p, q) from the center of the result
      is (x + a p + b q, y + c p + d q) in the image.
    """
    import tensorflow as tf

    turn, scale, right, down = _draw_uniform(n, 4, seed)
    angle = turn * (options.rotation * math.pi / 180)
    factor = 1.0 / (1.0 + scale * options.zoom)
    width, height, crop_x, crop_y = _draw_crops(n, options, crop_seed)
    to_x = (size[1] - 1) / 2 + (right * options.shift + crop_x) * size[1]
    to_y = (size[0] - 1) / 2 + (down * options.shift + crop_y) * size[0]
    x_scale = factor * width * size[1] / output_size[1]
    y_scale = factor * height * size[0] / output_size[0]
    cos, sin = tf.cos(angle), tf.sin(angle)
    return cos * x_scale, -sin * y_scale, sin * x_scale, cos * y_scale, to_x, to_y


def _draw_crops(
    n: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor"
) -> "tuple[tf.Tensor, ...]":
    """Draws random resized crops (Szegedy et al., 2015).

    Returns:
      Width and height of each crop, and the offset of its center from that of the image, as
      fractions of the image, float32 [n] each. Sides are clipped at 1, which makes a large crop of
      an extreme aspect a little smaller than drawn.
    """
    import tensorflow as tf

    if options.crop is None:
        one, zero = tf.ones([n]), tf.zeros([n])
        return one, one, zero, zero
    uniform = _draw_uniform(n, 4, seed)
    low, high = options.crop
    area = low + (high - low) * (uniform[0] + 1) / 2
    # Symmetric in the logarithm, so that wide and tall crops are equally frequent.
    aspect = tf.exp(uniform[1] * math.log(options.crop_aspect))
    width = tf.minimum(tf.sqrt(area * aspect), 1.0)
    height = tf.minimum(tf.sqrt(area / aspect), 1.0)
    return width, height, uniform[2] * (1 - width) / 2, uniform[3] * (1 - height) / 2


def _change_gamma(x: "tf.Tensor", options: AugmentOptions, seed: "tf.Tensor") -> "tf.Tensor":
    """Raises gray levels to an exponent in [1 / (1 + gamma), 1 + gamma]; float32 [n, h, w, 1]."""
    import tensorflow as tf

    (drawn,) = _draw_uniform(tf.shape(x)[0], 1, seed)
    exponent = tf.exp(drawn * math.log1p(options.gamma))[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return 255.0 * tf.pow(tf.clip_by_value(x / 255.0, 0.0, 1.0), exponent)


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
