"""Intersection over union, and other geometry of boxes."""

import numpy as np


def check_boxes(boxes: np.ndarray, what: str = "box") -> np.ndarray:
    """Returns boxes as float64 [k, 4]; a box of area 0 is valid and overlaps nothing.

    Args:
      boxes: [k, 4], or any empty array.
      what: name of a box in error messages.

    Raises:
      ValueError: wrong shape, a value that is not finite, or a box whose end is before its
        start; the message contains the box and its index.
    """
    checked = np.asarray(boxes, np.float64)
    if not checked.size:
        return np.zeros((0, 4))
    if checked.ndim != 2 or checked.shape[1] != 4:
        raise ValueError(f"{what}es must be [k, 4] (ymin, xmin, ymax, xmax), not {checked.shape}")
    for bad, problem in (
        (~np.isfinite(checked).all(axis=1), "contains NaN or infinity"),
        ((checked[:, 2:] < checked[:, :2]).any(axis=1), "ends before it starts"),
    ):
        if bad.any():
            at = int(np.argmax(bad))
            raise ValueError(f"{what} {checked[at].tolist()} at index {at} {problem}")
    return checked


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Computes the areas [...] of boxes [..., 4]; 0 if an end is before its start."""
    return np.asarray(np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(axis=-1))


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes the intersection over union (Jaccard, 1912) of every pair of boxes.

    Args:
      a: [..., m, 4].
      b: [..., k, 4], same leading axes as a.

    Returns:
      float64 [..., m, k]; 0 if neither box has an area.
    """
    one = np.asarray(a, np.float64)[..., :, None, :]
    two = np.asarray(b, np.float64)[..., None, :, :]
    low, high = np.maximum(one[..., :2], two[..., :2]), np.minimum(one[..., 2:], two[..., 2:])
    both = box_area(np.concatenate([low, high], axis=-1))
    either = box_area(one) + box_area(two) - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def resize_boxes(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies both sides of boxes [..., 4] by a factor, about their centers; does not clip."""
    boxes = np.asarray(boxes, np.float64)
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * factor
    return np.concatenate([center - half, center + half], axis=-1)
