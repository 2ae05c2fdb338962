"""Targets of the dense head: center heat map, size and offset of boxes."""

from collections.abc import Sequence

import numpy as np

CHANNELS = 6  # heat, log height, log width, offset y, offset x (cells), weight of the last four
MIN_WEIGHT = 0.4  # heat above which a cell next to a center learns the geometry of the box


def gaussian_radius(heights: np.ndarray, widths: np.ndarray, min_overlap: float) -> np.ndarray:
    """Returns the largest displacement of the corners that keeps an IoU of `min_overlap`.

    The minimum of three cases of Law & Deng (2018, section 3.2): both corners move in the same
    direction, inwards, or outwards; the smaller root of each quadratic. (The code published with
    the paper divides by 2 instead of 2a; this is the formula of the paper.)

    Args:
      heights: float [...], in cells.
      widths: float [...], in cells.
      min_overlap: intersection over union, above 0 and below 1.

    Returns:
      float [...], in cells; 0 for a box without area.
    """
    total, area = heights + widths, heights * widths

    def root(a: float, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        # Numerically stable form of the root nearest to 0, for b > 0.
        discriminant = np.sqrt(np.maximum(b**2 - 4 * a * c, 0))
        return np.divide(2 * np.abs(c), b + discriminant, out=np.zeros_like(b), where=b > 0)

    moved = root(1.0, total, area * (1 - min_overlap) / (1 + min_overlap))
    inside = root(4.0, 2 * total, (1 - min_overlap) * area)
    outside = root(4.0 * min_overlap, 2 * min_overlap * total, (min_overlap - 1) * area)
    return np.minimum(np.minimum(moved, inside), outside)


def center_targets(boxes: np.ndarray, grid: tuple[int, int], min_overlap: float) -> np.ndarray:
    """Returns the targets of a batch.

    Heat is 1 in the cell of a center and falls off as a Gaussian with a standard deviation of a
    sixth of the diameter of `gaussian_radius`, as in CenterNet. Where Gaussians overlap, the larger
    value counts and the cell belongs to that box; of two boxes with the same center cell, the
    larger box gets it.

    Args:
      boxes: float [n, k, 4], "model" coordinates, padded with NaN. k may be 0.
      grid: cells in y and x.
      min_overlap: see `gaussian_radius`.

    Returns:
      float32 [n, y, x, 6]: heat, 0..1; logarithms of height and width (relative to the square);
      offset from the corner of the cell to the center of the box, y and x, in cells; weight of
      these four: the heat, or 0 in cells without a box.
    """
    n, k = boxes.shape[:2]
    rows, columns = grid
    out = np.zeros((n, rows, columns, CHANNELS), np.float32)
    if not k:
        return out
    exists = ~np.isnan(boxes).any(axis=-1)
    edges = np.where(exists[..., None], boxes, 0.0).astype(np.float64)
    ymin, xmin, ymax, xmax = np.moveaxis(edges, -1, 0)
    # A minimum size, because of the logarithm.
    height, width = np.maximum(ymax - ymin, 1e-3), np.maximum(xmax - xmin, 1e-3)
    center_y, center_x = (ymin + ymax) / 2 * rows, (xmin + xmax) / 2 * columns
    cell_y = np.clip(np.floor(center_y), 0, rows - 1)
    cell_x = np.clip(np.floor(center_x), 0, columns - 1)
    radius = np.floor(gaussian_radius(height * rows, width * columns, min_overlap))
    spread = 2 * ((2 * radius + 1) / 6) ** 2
    distance_y = (np.arange(rows)[:, None] - cell_y[:, None, :]) ** 2  # [n, rows, k]
    distance_x = (np.arange(columns)[:, None] - cell_x[:, None, :]) ** 2  # [n, columns, k]
    heat = np.exp(-(distance_y[:, :, None] + distance_x[:, None]) / spread[:, None, None, :])
    heat = np.where(exists[:, None, None, :], heat, 0.0)
    # Largest box first, because argmax returns the first of equal values.
    order = np.argsort(-(height * width * exists), axis=1, kind="stable")
    best = np.take_along_axis(heat, order[:, None, None, :], axis=3).argmax(axis=3)
    owner = np.take_along_axis(order, best.reshape(n, -1), axis=1)

    def of_owner(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, owner, axis=1).reshape(n, rows, columns)

    peak = heat.max(axis=3)
    weight = np.where(peak > MIN_WEIGHT, peak, 0.0)
    out[..., 0] = peak
    out[..., 1] = np.log(of_owner(height))
    out[..., 2] = np.log(of_owner(width))
    out[..., 3] = of_owner(center_y) - np.arange(rows)[:, None]
    out[..., 4] = of_owner(center_x) - np.arange(columns)
    out[..., 5] = weight
    out[..., 1:5] *= (weight > 0)[..., None]
    return out


def pad_boxes(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Pads the boxes of n images, float [k, 4] each, with NaN to float32 [n, max(k), 4]."""
    largest = max((len(row) for row in boxes), default=0)
    out = np.full((len(boxes), largest, 4), np.nan, np.float32)
    for i, row in enumerate(boxes):
        out[i, : len(row)] = row
    return out
