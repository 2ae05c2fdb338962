"""Overlap of boxes."""

import numpy as np


def check_boxes(boxes: np.ndarray, what: str = "box") -> np.ndarray:
    """Returns boxes as float64 [k, 4]; a box without area is valid and overlaps nothing.

    Args:
      boxes: [k, 4], or anything empty.
      what: for the message.

    Raises:
      ValueError: another shape, a value that is not finite, or a box whose end is before its
        start; the message holds the box and its index.
    """
    found = np.asarray(boxes, np.float64)
    if not found.size:
        return np.zeros((0, 4))
    if found.ndim != 2 or found.shape[1] != 4:
        raise ValueError(f"{what}es must be [k, 4] (ymin, xmin, ymax, xmax), not {found.shape}")
    for bad, why in (
        (~np.isfinite(found).all(axis=1), "is not made of numbers"),
        ((found[:, 2:] < found[:, :2]).any(axis=1), "ends before it starts"),
    ):
        if bad.any():
            at = int(np.argmax(bad))
            raise ValueError(f"{what} {found[at].tolist()} at {at} {why}")
    return found


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas [...] of boxes [..., 4]; 0 where an end is before its start."""
    return np.asarray(np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(axis=-1))


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (Jaccard 1912) of every pair.

    Args:
      a: [..., m, 4].
      b: [..., k, 4], leading axes as of a.

    Returns:
      float64 [..., m, k]; 0 where neither box has an area.
    """
    one = np.asarray(a, np.float64)[..., :, None, :]
    two = np.asarray(b, np.float64)[..., None, :, :]
    low, high = np.maximum(one[..., :2], two[..., :2]), np.minimum(one[..., 2:], two[..., 2:])
    both = box_area(np.concatenate([low, high], axis=-1))
    either = box_area(one) + box_area(two) - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def resize_boxes(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes [..., 4] with both sides times a factor, about their centres; not clipped."""
    found = np.asarray(boxes, np.float64)
    centre = (found[..., :2] + found[..., 2:]) / 2
    half = (found[..., 2:] - found[..., :2]) / 2 * factor
    return np.concatenate([centre - half, centre + half], axis=-1)
