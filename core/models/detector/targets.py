"""Boxes -> what the dense head should say: centre heat map, size, offset."""

from collections.abc import Sequence

import numpy as np

# Channels of a target: heat, log height, log width, offset in y and x (cells), weight of the four.
CHANNELS = 6
# A cell beside the centre learns the box too, with its heat as weight, where that is above this.
NEAR = 0.4


def gaussian_radius(heights: np.ndarray, widths: np.ndarray, min_overlap: float) -> np.ndarray:
    """How far a box may be displaced and still overlap the true one by `min_overlap`.

    The least of three cases of Law & Deng (2018, section 3.2): both corners move the same way,
    both move inwards, both outwards; the smaller root of each quadratic. (The code that came with
    the paper divides by 2 where the formula has 2a; here it is the formula.)

    Args:
      heights: float [...], in cells.
      widths: float [...], in cells.
      min_overlap: intersection over union, above 0 and below 1.

    Returns:
      float [...], in cells; 0 for a box without area.
    """
    total, area = heights + widths, heights * widths

    def root(a: float, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        # b > 0: the form that loses no digits; the root nearest to 0.
        square = np.sqrt(np.maximum(b**2 - 4 * a * c, 0))
        return np.divide(2 * np.abs(c), b + square, out=np.zeros_like(b), where=b > 0)

    moved = root(1.0, total, area * (1 - min_overlap) / (1 + min_overlap))
    inside = root(4.0, 2 * total, (1 - min_overlap) * area)
    outside = root(4.0 * min_overlap, 2 * min_overlap * total, (min_overlap - 1) * area)
    return np.minimum(np.minimum(moved, inside), outside)


def center_targets(boxes: np.ndarray, grid: tuple[int, int], min_overlap: float) -> np.ndarray:
    """Targets of a batch.

    Heat is 1 in the cell of a centre and falls as a Gaussian whose deviation is a third of the
    `gaussian_radius` (a sixth of its diameter, as in CenterNet). Where peaks meet, the larger
    value counts, and the cell belongs to that box; of two boxes with the same centre cell the
    larger one has it.

    Args:
      boxes: float [n, k, 4], "model" coordinates; NaN where there is none. k may be 0.
      grid: cells in y and x.
      min_overlap: see `gaussian_radius`.

    Returns:
      float32 [n, y, x, 6]: heat 0..1; logarithms of height and width (parts of the square); from
      the corner of the cell to the centre of the box, y and x, in cells; weight of these four,
      which is the heat, or 0 in cells without a box.
    """
    n, k = boxes.shape[:2]
    rows, columns = grid
    out = np.zeros((n, rows, columns, CHANNELS), np.float32)
    if not k:
        return out
    there = ~np.isnan(boxes).any(axis=-1)
    edges = np.where(there[..., None], boxes, 0.0).astype(np.float64)
    ymin, xmin, ymax, xmax = np.moveaxis(edges, -1, 0)
    # A box has some size, or its logarithm would not be a number.
    height, width = np.maximum(ymax - ymin, 1e-3), np.maximum(xmax - xmin, 1e-3)
    centre_y, centre_x = (ymin + ymax) / 2 * rows, (xmin + xmax) / 2 * columns
    cell_y = np.clip(np.floor(centre_y), 0, rows - 1)
    cell_x = np.clip(np.floor(centre_x), 0, columns - 1)
    radius = np.floor(gaussian_radius(height * rows, width * columns, min_overlap))
    spread = 2 * ((2 * radius + 1) / 6) ** 2
    far_y = (np.arange(rows)[:, None] - cell_y[:, None, :]) ** 2  # [n, rows, k]
    far_x = (np.arange(columns)[:, None] - cell_x[:, None, :]) ** 2  # [n, columns, k]
    heat = np.exp(-(far_y[:, :, None] + far_x[:, None]) / spread[:, None, None, :])
    heat = np.where(there[:, None, None, :], heat, 0.0)
    # Largest first: argmax takes the first of equals.
    order = np.argsort(-(height * width * there), axis=1, kind="stable")
    best = np.take_along_axis(heat, order[:, None, None, :], axis=3).argmax(axis=3)
    owner = np.take_along_axis(order, best.reshape(n, -1), axis=1)

    def of_owner(values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, owner, axis=1).reshape(n, rows, columns)

    peak = heat.max(axis=3)
    weight = np.where(peak > NEAR, peak, 0.0)
    out[..., 0] = peak
    out[..., 1] = np.log(of_owner(height))
    out[..., 2] = np.log(of_owner(width))
    out[..., 3] = of_owner(centre_y) - np.arange(rows)[:, None]
    out[..., 4] = of_owner(centre_x) - np.arange(columns)
    out[..., 5] = weight
    out[..., 1:5] *= (weight > 0)[..., None]
    return out


def pad_boxes(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Boxes of n images, float [k, 4] each -> float32 [n, most, 4], NaN after the last."""
    most = max((len(row) for row in boxes), default=0)
    out = np.full((len(boxes), most, 4), np.nan, np.float32)
    for i, row in enumerate(boxes):
        out[i, : len(row)] = row
    return out
