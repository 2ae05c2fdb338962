"""Boxes and the resizing of their image: the one place that takes one along with the other.

A box is (ymin, xmin, ymax, xmax). "Relative": 0..1 of the displayed image, as records hold it.
"Model": 0..1 of the square that the model sees. They differ where the fit is "pad" alone.
"""

from typing import Any, Final

import numpy as np

from schema import features as f

EDGES: Final = (f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX)


def fit_boxes(boxes: Any, height: Any, width: Any, fit: str, size: int | None = None) -> Any:
    """Relative boxes -> model boxes: what `resize_gray` does to the pixels in them.

    Args:
      boxes: float32 [..., 4], array or tensor.
      height: pixels of the displayed image, [] or one for each entry of the first axis.
      width: likewise.
      fit: "stretch" or "pad", see `core.images.decode_tf.resize_gray`.
      size: side of the square, pixels; "pad" rounds the picture in it to whole pixels. None: as a
        square of any size would have it, at most half a pixel away.

    Returns:
      float32 [..., 4], an array for an array and a tensor for a tensor.

    Raises:
      ValueError: another fit.
    """
    frame = _frame(boxes, height, width, fit, size)
    if frame is None:
        return boxes
    scale, offset = frame
    return boxes * scale + offset


def unfit_boxes(boxes: Any, height: Any, width: Any, fit: str, size: int | None = None) -> Any:
    """Model boxes -> relative boxes, the inverse of `fit_boxes`; what lies in a border leaves 0..1.

    Args and Returns: as `fit_boxes`.
    """
    frame = _frame(boxes, height, width, fit, size)
    if frame is None:
        return boxes
    scale, offset = frame
    return (boxes - offset) / scale


def _frame(
    boxes: Any, height: Any, width: Any, fit: str, size: int | None
) -> tuple[Any, Any] | None:
    """Scale and offset of (y, x, y, x), each [..., 4]; None where nothing changes."""
    if fit == "stretch":
        return None
    if fit != "pad":
        raise ValueError(f"fit must be 'stretch' or 'pad', not {fit!r}")
    xp: Any = np
    if isinstance(boxes, np.ndarray):
        sides = np.stack([np.asarray(height), np.asarray(width)], axis=-1).astype(np.float32)
    else:
        import tensorflow as tf

        xp = tf
        sides = tf.cast(tf.stack([height, width], axis=-1), tf.float32)
    longest = xp.maximum(sides[..., :1], sides[..., 1:])
    if size is None:
        scale = sides / longest
        offset = (1.0 - scale) / 2.0
    else:
        inner = xp.minimum(xp.maximum(xp.round(sides * (float(size) / longest)), 1.0), float(size))
        scale = inner / float(size)
        offset = xp.floor((float(size) - inner) / 2.0) / float(size)
    between = (1,) * (len(boxes.shape) - len(sides.shape))
    shape = (-1, *between, 4) if len(sides.shape) > 1 else (4,)

    def edges(of: Any) -> Any:
        return xp.reshape(xp.stack([of[..., 0], of[..., 1]] * 2, axis=-1), shape)

    return edges(scale), edges(offset)
