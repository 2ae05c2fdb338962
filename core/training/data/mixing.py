"""Mixup and CutMix: training images that are mixed from two images of a batch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

Batch = tuple["tf.Tensor", "tf.Tensor", "tf.Tensor"]


def mix_batch(
    pixels: "tf.Tensor",
    targets: "tf.Tensor",
    weights: "tf.Tensor",
    seed: "tf.Tensor",
    mixup: float | None,
    cutmix: float | None,
) -> Batch:
    """Mixes each image of a batch with another one of the same batch.

    Mixup (Zhang et al., 2018) averages the pixels of two images with a weight drawn from
    Beta(mixup, mixup). CutMix (Yun et al., 2019) replaces a rectangle whose area is drawn from
    Beta(cutmix, cutmix). With both, each image is mixed in one of the two ways, with equal
    probability.

    The targets are not averaged, because a row of targets is the set of possible classes: the union
    of two sets would be another statement. Both sets are kept with their parts, and
    `partial_cross_entropy` averages their losses.

    Args:
      pixels: uint8 [n, h, w, 1].
      targets: float32 [n, classes] of 0 and 1, see `class_targets`.
      weights: float32 [n], weight in the loss.
      seed: int32 [2]; the same seed gives the same result.
      mixup: parameter of the Beta distribution, above 0; None: no mixup.
      cutmix: likewise for CutMix.

    Returns:
      Pixels uint8 [n, h, w, 1]; targets float32 [n, 2, classes], the targets of the image and of
      its partner, times their parts of the loss, which sum to 1; weights float32 [n].
    """
    import tensorflow as tf

    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    count = tf.shape(pixels)[0]
    partner = tf.random.experimental.stateless_shuffle(tf.range(count), seeds[0])
    other = tf.gather(pixels, partner)
    mixed, part = pixels, tf.ones([count])
    if mixup is not None:
        mixed, part = _average(pixels, other, _draw_beta(count, mixup, seeds[1]))
    if cutmix is not None:
        area = 1.0 - _draw_beta(count, cutmix, seeds[2])
        pasted, uncovered = _paste(pixels, other, area, seeds[3])
        chosen = tf.ones([count], tf.bool)
        if mixup is not None:
            chosen = tf.random.stateless_uniform([count], seeds[4]) < 0.5
        mixed = tf.where(chosen[:, tf.newaxis, tf.newaxis, tf.newaxis], pasted, mixed)
        part = tf.where(chosen, uncovered, part)
    first, second = part * weights, (1.0 - part) * tf.gather(weights, partner)
    total = first + second
    parts = tf.math.divide_no_nan(tf.stack([first, second], axis=1), total[:, tf.newaxis])
    sets = tf.stack([targets, tf.gather(targets, partner)], axis=1)
    return mixed, sets * parts[..., tf.newaxis], total


def _draw_beta(count: "tf.Tensor", alpha: float, seed: "tf.Tensor") -> "tf.Tensor":
    """Draws from Beta(alpha, alpha), float32 [count].

    A quotient of gamma variables, in logarithms: for a small alpha a gamma variable is below the
    range of float32. G(alpha) is distributed like G(alpha + 1) U^(1 / alpha) (Marsaglia & Tsang,
    2000).
    """
    import tensorflow as tf

    gamma_seed, uniform_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    shape = tf.stack([2, count])
    gamma = tf.random.stateless_gamma(shape, gamma_seed, alpha + 1.0)
    uniform = tf.random.stateless_uniform(shape, uniform_seed, minval=1e-7)
    log = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    return tf.sigmoid(log[0] - log[1])


def _average(images: "tf.Tensor", other: "tf.Tensor", part: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
    """Averages images with others; returns uint8 [n, h, w, 1] and the part of the first, [n].

    The larger part goes to the first image. Since every image is the partner of one other, this
    only decides which of the two comes first, and each image is the main one once per epoch.
    """
    import tensorflow as tf

    part = tf.maximum(part, 1.0 - part)
    at = part[:, tf.newaxis, tf.newaxis, tf.newaxis]
    mixed = at * tf.cast(images, tf.float32) + (1.0 - at) * tf.cast(other, tf.float32)
    return tf.cast(tf.clip_by_value(tf.round(mixed), 0.0, 255.0), tf.uint8), part


def _paste(
    images: "tf.Tensor", other: "tf.Tensor", area: "tf.Tensor", seed: "tf.Tensor"
) -> "tuple[tf.Tensor, ...]":
    """Pastes a rectangle of each other image at the same place.

    The rectangle has the aspect ratio of the image, and its center is uniform in the image; what
    lies outside is cut off.

    Args:
      images: uint8 [n, h, w, 1].
      other: likewise.
      area: float32 [n], of the rectangle before it is cut, as a fraction of the image.
      seed: int32 [2].

    Returns:
      uint8 [n, h, w, 1], and the uncovered part of each image in whole pixels, float32 [n].
    """
    import tensorflow as tf

    shape = tf.shape(images)
    centers = tf.random.stateless_uniform(tf.stack([2, shape[0]]), seed)
    inside = []
    for side, center in zip((shape[1], shape[2]), tf.unstack(centers), strict=True):
        length = tf.cast(side, tf.float32)
        middle, half = center * length, tf.sqrt(area) * length / 2.0
        start = tf.clip_by_value(tf.round(middle - half), 0.0, length)[:, tf.newaxis]
        end = tf.clip_by_value(tf.round(middle + half), 0.0, length)[:, tf.newaxis]
        pixel = tf.range(length)
        inside.append((pixel >= start) & (pixel < end))
    mask = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis]
    uncovered = 1.0 - tf.reduce_mean(tf.cast(mask, tf.float32), axis=(1, 2))
    return tf.where(mask[..., tf.newaxis], other, images), uncovered
