"""Converts boxes between the displayed image and the model's square.

A box is (ymin, xmin, ymax, xmax). Relative boxes are fractions of the displayed image, as in
records; model boxes are fractions of the model's square. They differ unless the fit is "stretch".
"""

from typing import Any

import numpy as np

from core.images.rules import FITS


def fit_boxes(boxes: Any, height: Any, width: Any, fit: str, size: int | None = None) -> Any:
    """Converts relative boxes to model boxes, as `resize_gray` resizes their image.

    With the fit "crop", boxes are clipped at the crop; a box outside it becomes NaN.

    Args:
      boxes: float32 [..., 4], array or tensor.
      height: of the displayed image, pixels; scalar, or one per entry of the first axis.
      width: likewise.
      fit: "stretch", "pad" or "crop", see `core.images.resize_tf.resize_gray`.
      size: side of the square, pixels; "pad" rounds the image in it to whole pixels. None: without
        rounding, at most half a pixel away.

    Returns:
      float32 [..., 4], of the type of `boxes`.

    Raises:
      ValueError: unknown fit.
    """
    frame = _frame(boxes, height, width, fit, size)
    if frame is None:
        return boxes
    scale, offset = frame
    fitted = boxes * scale + offset
    return _clip(fitted) if fit == "crop" else fitted


def _clip(boxes: Any) -> Any:
    """Clips model boxes, float32 [..., 4], at the border of the square; NaN if nothing is left."""
    if isinstance(boxes, np.ndarray):
        xp: Any = np
        clipped = np.clip(boxes, 0.0, 1.0)
    else:
        import tensorflow as tf

        xp, clipped = tf, tf.clip_by_value(boxes, 0.0, 1.0)
    visible = (clipped[..., 2] > clipped[..., 0]) & (clipped[..., 3] > clipped[..., 1])
    return xp.where(visible[..., None], clipped, np.float32("nan"))


def unfit_boxes(boxes: Any, height: Any, width: Any, fit: str, size: int | None = None) -> Any:
    """Converts model boxes to relative boxes; boxes in a border get coordinates outside 0 to 1.

    Inverse of `fit_boxes` without clipping, with the same arguments and return value.
    """
    frame = _frame(boxes, height, width, fit, size)
    if frame is None:
        return boxes
    scale, offset = frame
    return (boxes - offset) / scale


def _frame(
    boxes: Any, height: Any, width: Any, fit: str, size: int | None
) -> tuple[Any, Any] | None:
    """Returns scale and offset of (y, x, y, x), each [..., 4]; None if nothing changes."""
    if fit == "stretch":
        return None
    if fit not in FITS:
        raise ValueError(f"fit must be one of {', '.join(FITS)}, not {fit!r}")
    xp: Any = np
    if isinstance(boxes, np.ndarray):
        sides = np.stack([np.asarray(height), np.asarray(width)], axis=-1).astype(np.float32)
    else:
        import tensorflow as tf

        xp = tf
        sides = tf.cast(tf.stack([height, width], axis=-1), tf.float32)
    longest = xp.maximum(sides[..., :1], sides[..., 1:])
    if fit == "crop":
        shortest = xp.minimum(sides[..., :1], sides[..., 1:])
        scale = sides / shortest
        offset = -xp.floor((sides - shortest) / 2.0) / shortest
    elif size is None:
        scale = sides / longest
        offset = (1.0 - scale) / 2.0
    else:
        inner = xp.minimum(xp.maximum(xp.round(sides * (float(size) / longest)), 1.0), float(size))
        scale = inner / float(size)
        offset = xp.floor((float(size) - inner) / 2.0) / float(size)
    between = (1,) * (len(boxes.shape) - len(sides.shape))
    shape = (-1, *between, 4) if len(sides.shape) > 1 else (4,)

    def edges(pair: Any) -> Any:
        return xp.reshape(xp.stack([pair[..., 0], pair[..., 1]] * 2, axis=-1), shape)

    return edges(scale), edges(offset)
