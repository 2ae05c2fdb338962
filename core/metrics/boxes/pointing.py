"""The pointing game (Zhang et al. 2018, IJCV 126): whether the best point lies on an opacity."""

import numpy as np

from core.metrics.boxes.matching import Boxes, pad_boxes


def best_box_centers(boxes: Boxes, scores: Boxes) -> np.ndarray:
    """Centre (y, x) of the best box of each image, float64 [n, 2]; NaN where there is none.

    Raises:
      ValueError: a box or score is not finite.
    """
    found = pad_boxes(boxes, scores)
    if not found.boxes.shape[1]:
        return np.full((len(found.count), 2), np.nan)
    first = found.boxes[:, 0]
    centre = (first[:, :2] + first[:, 2:]) / 2
    return np.asarray(np.where(found.count[:, None] > 0, centre, np.nan))


def heat_map_peaks(heat: np.ndarray) -> np.ndarray:
    """Centre (y, x) of the hottest cell of each map, relative to the map.

    Args:
      heat: float [n, h, w].

    Returns:
      float64 [n, 2], 0 to 1, the first of equal ones; NaN where a map is constant.

    Raises:
      ValueError: a value is not finite.
    """
    n, h, w = heat.shape
    if not np.isfinite(heat).all():
        at = int(np.argmin(np.isfinite(heat).reshape(n, -1).all(axis=1)))
        raise ValueError(f"heat map {at} is not made of numbers")
    if not heat.size:
        return np.full((n, 2), np.nan)
    flat = heat.reshape(n, h * w)
    row, column = np.divmod(flat.argmax(axis=1), w)
    found = np.stack([(row + 0.5) / h, (column + 0.5) / w], axis=1)
    return np.asarray(np.where((flat.max(axis=1) > flat.min(axis=1))[:, None], found, np.nan))


def pointing_hits(truth: Boxes, points: np.ndarray) -> np.ndarray:
    """Whether the point of an image lies in one of its true boxes, the edge included.

    Args:
      truth: for each image the true boxes [k, 4].
      points: float [n, 2], (y, x) in the unit of the boxes; NaN is a miss.

    Returns:
      float64 [n]: 1, 0, or NaN for an image without a true box, which is left out.
    """
    true = pad_boxes(truth, what="true box")
    at = np.asarray(points, np.float64).reshape(-1, 1, 2)
    inside = (true.boxes[..., :2] <= at) & (at <= true.boxes[..., 2:])
    hit = (inside.all(axis=2) & true.there).any(axis=1)
    return np.where(true.count > 0, hit.astype(np.float64), np.nan)
