"""Pointing game (Zhang et al., 2018, IJCV 126): whether the best point lies on an opacity."""

import numpy as np

from core.metrics.boxes.matching import Boxes, pad_boxes


def best_box_centers(boxes: Boxes, scores: Boxes) -> np.ndarray:
    """Returns the center (y, x) of the best box of each image, float64 [n, 2]; NaN without boxes.

    Raises:
      ValueError: a box or score is not finite.
    """
    padded = pad_boxes(boxes, scores)
    if not padded.boxes.shape[1]:
        return np.full((len(padded.count), 2), np.nan)
    first = padded.boxes[:, 0]
    center = (first[:, :2] + first[:, 2:]) / 2
    return np.asarray(np.where(padded.count[:, None] > 0, center, np.nan))


def heat_map_peaks(heat: np.ndarray) -> np.ndarray:
    """Returns the center (y, x) of the hottest cell of each map, relative to the map.

    Args:
      heat: float [n, h, w].

    Returns:
      float64 [n, 2], 0 to 1; the first of ties; NaN for a constant map.

    Raises:
      ValueError: a value is not finite.
    """
    n, h, w = heat.shape
    if not np.isfinite(heat).all():
        at = int(np.argmin(np.isfinite(heat).reshape(n, -1).all(axis=1)))
        raise ValueError(f"heat map {at} contains NaN or infinity")
    if not heat.size:
        return np.full((n, 2), np.nan)
    flat = heat.reshape(n, h * w)
    row, column = np.divmod(flat.argmax(axis=1), w)
    centers = np.stack([(row + 0.5) / h, (column + 0.5) / w], axis=1)
    return np.asarray(np.where((flat.max(axis=1) > flat.min(axis=1))[:, None], centers, np.nan))


def pointing_hits(truth: Boxes, points: np.ndarray) -> np.ndarray:
    """Checks whether the point of each image lies in one of its true boxes, edges included.

    Args:
      truth: for each image the true boxes [k, 4].
      points: float [n, 2], (y, x) in the unit of the boxes; NaN counts as a miss.

    Returns:
      float64 [n]: 1, 0, or NaN for an image without true boxes.
    """
    true = pad_boxes(truth, what="true box")
    at = np.asarray(points, np.float64).reshape(-1, 1, 2)
    inside = (true.boxes[..., :2] <= at) & (at <= true.boxes[..., 2:])
    hit = (inside.all(axis=2) & true.is_box).any(axis=1)
    return np.where(true.count > 0, hit.astype(np.float64), np.nan)
