"""Greedy matching of predicted and true boxes, for all images and overlaps at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.metrics.boxes.iou import box_iou, check_boxes

Boxes = Sequence[np.ndarray]
# An overlap this near to the threshold equals it, whatever the rounding.
_EQUAL = 1e-9


@dataclass(frozen=True)
class PaddedBoxes:
    """Boxes of n images in one array, padded with boxes of no size.

    Attributes:
      boxes: float64 [n, M, 4]; of predictions the best first.
      scores: float64 [n, M], -inf where there is no box; all 0 for true boxes.
      count: int64 [n].
    """

    boxes: np.ndarray
    scores: np.ndarray
    count: np.ndarray

    @property
    def there(self) -> np.ndarray:
        """Which entries are boxes, not padding, bool [n, M]."""
        return np.asarray(np.arange(self.boxes.shape[1]) < self.count[:, None])


def pad_boxes(boxes: Boxes, scores: Boxes | None = None, what: str = "box") -> PaddedBoxes:
    """Puts the boxes of images into one array, ordered by score; ties keep their order.

    Args:
      boxes: for each image [k, 4].
      scores: for each image [k].
      what: for messages.

    Raises:
      ValueError: a bad box or score; the message holds the index of the image.
    """
    checked, rows = [], []
    given = [np.zeros(len(one)) for one in boxes] if scores is None else scores
    for i, (one, row) in enumerate(zip(boxes, given, strict=True)):
        try:
            checked.append(check_boxes(one, what))
        except ValueError as error:
            raise ValueError(f"image {i}: {error}") from None
        rows.append(np.ravel(row).astype(np.float64))
        if len(rows[i]) != len(checked[i]):
            raise ValueError(f"there must be one score for each {what} of each image")
        if not np.isfinite(rows[i]).all():
            bad = rows[i][~np.isfinite(rows[i])][0]
            raise ValueError(f"image {i}: the score {bad} is not a number")
    count = np.array([len(one) for one in checked], np.int64)
    n, most = len(checked), int(count.max(initial=0))
    padded_boxes, padded_scores = np.zeros((n, most, 4)), np.full((n, most), -np.inf)
    for i, (one, row) in enumerate(zip(checked, rows, strict=True)):
        order = np.argsort(-row, kind="stable")
        padded_boxes[i, : len(one)], padded_scores[i, : len(one)] = one[order], row[order]
    return PaddedBoxes(padded_boxes, padded_scores, count)


def match_boxes(
    truth: PaddedBoxes, predicted: PaddedBoxes, overlaps: Sequence[float]
) -> np.ndarray:
    """Greedy matching, the best prediction first.

    A prediction hits where its overlap with a true box that no better prediction has taken is
    greater than the threshold; it takes the one that it overlaps most. A prediction never changes
    what better ones hit, so the first j columns are the matching of the j best.

    Args:
      truth: true boxes of n images.
      predicted: predicted boxes of the same images, at most M in one.
      overlaps: T thresholds of intersection over union.

    Returns:
      bool [n, T, M].
    """
    n, most = predicted.scores.shape
    hits = np.zeros((n, len(overlaps), most), bool)
    if not hits.size or not truth.boxes.shape[1]:
        return hits
    overlap = np.where(truth.there[:, None, :], box_iou(predicted.boxes, truth.boxes), -1.0)
    least = np.asarray(overlaps, np.float64)[None, :, None] + _EQUAL
    free = np.ones((n, len(overlaps), truth.boxes.shape[1]), bool)
    for m in range(most):
        able = np.where(free & (overlap[:, m, None, :] > least), overlap[:, m, None, :], -1.0)
        taken = able.argmax(axis=2)
        hits[:, :, m] = (able.max(axis=2) >= 0) & predicted.there[:, m, None]
        image, t = np.nonzero(hits[:, :, m])
        free[image, t, taken[image, t]] = False
    return hits
