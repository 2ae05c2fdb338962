"""Detects how the Transform graph fits images into the model's square."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from core.images.decode_tf import decode_gray
from core.images.resize_tf import from_png, resize_gray
from core.images.rules import FITS
from schema import features as f


def detect_fit(transform: Callable[[dict[str, tf.Tensor]], Any], size: int) -> str:
    """Returns the fit whose pixels equal those of the Transform graph for a few probe images.

    Serving decodes directly instead of calling the Transform graph, which would decode twice and
    encode a PNG in between. The comparison proves that both give the same pixels.

    Args:
      transform: the Transform graph: `image/encoded` string [n, 1] -> `image_png` string [n].
      size: side of the images, pixels.

    Returns:
      "stretch", "pad" or "crop".

    Raises:
      ValueError: neither matches, because other code wrote the Transform graph.
    """
    planes = np.random.default_rng(0).integers(0, 256, (2 * size + 3, size + 2, 3), np.uint8)
    probes = [
        tf.io.encode_png(planes).numpy(),
        tf.io.encode_jpeg(planes[:, :, :1]).numpy(),
        tf.io.encode_jpeg(planes[:size], quality=80).numpy(),
        tf.io.encode_png(planes[:size, :, :1].astype(np.uint16) * 251).numpy(),
    ]
    features = transform({f.IMAGE_ENCODED: tf.constant(probes)[:, tf.newaxis]})
    expected = from_png(features[f.IMAGE_PNG], size).numpy()
    for fit in FITS:
        pixels = [resize_gray(decode_gray(tf.constant(p)), size, fit).numpy() for p in probes]
        if np.array_equal(np.stack(pixels), expected):
            return fit
    raise ValueError(
        "the Transform graph decodes images differently from this version of the code; run "
        "Transform again with another --workdir, so that training and serving see the same pixels"
    )
