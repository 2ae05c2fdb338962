"""Greedy matching of predicted to true boxes, vectorized over images and IoU thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.metrics.boxes.iou import box_iou, check_boxes

Boxes = Sequence[np.ndarray]
# Tolerance within which an IoU equals the threshold.
_EQUAL = 1e-9


@dataclass(frozen=True)
class PaddedBoxes:
    """Boxes of n images in one array, padded with boxes of size 0.

    Attributes:
      boxes: float64 [n, M, 4], in descending order of score.
      scores: float64 [n, M], -inf for padding, 0 for true boxes.
      count: int64 [n], number of boxes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    count: np.ndarray

    @property
    def is_box(self) -> np.ndarray:
        """Mask of the entries that are not padding, bool [n, M]."""
        return np.asarray(np.arange(self.boxes.shape[1]) < self.count[:, None])


def pad_boxes(boxes: Boxes, scores: Boxes | None = None, what: str = "box") -> PaddedBoxes:
    """Packs the boxes of all images into one array, in descending order of score.

    Args:
      boxes: for each image the boxes [k, 4].
      scores: for each image the scores [k]; ties keep their order.
      what: name of a box in error messages.

    Raises:
      ValueError: an invalid box or score; the message contains the index of the image.
    """
    checked, rows = [], []
    score_rows = [np.zeros(len(one)) for one in boxes] if scores is None else scores
    for i, (image_boxes, row) in enumerate(zip(boxes, score_rows, strict=True)):
        try:
            checked.append(check_boxes(image_boxes, what))
        except ValueError as error:
            raise ValueError(f"image {i}: {error}") from None
        rows.append(np.ravel(row).astype(np.float64))
        if len(rows[i]) != len(checked[i]):
            raise ValueError(f"image {i}: {len(rows[i])} scores for {len(checked[i])} boxes")
        if not np.isfinite(rows[i]).all():
            bad = rows[i][~np.isfinite(rows[i])][0]
            raise ValueError(f"image {i}: invalid score {bad}")
    count = np.array([len(image_boxes) for image_boxes in checked], np.int64)
    n, most = len(checked), int(count.max(initial=0))
    padded_boxes, padded_scores = np.zeros((n, most, 4)), np.full((n, most), -np.inf)
    for i, (image_boxes, row) in enumerate(zip(checked, rows, strict=True)):
        order = np.argsort(-row, kind="stable")
        padded_boxes[i, : len(row)], padded_scores[i, : len(row)] = image_boxes[order], row[order]
    return PaddedBoxes(padded_boxes, padded_scores, count)


def match_boxes(
    truth: PaddedBoxes, predicted: PaddedBoxes, overlaps: Sequence[float]
) -> np.ndarray:
    """Matches predictions to true boxes greedily, in descending order of score.

    A prediction is a hit if its IoU with an unmatched true box is greater than the threshold; it
    is matched to the true box with the highest IoU. A prediction does not affect the matches of
    better ones, so the first j columns are the matching of the j best.

    Args:
      truth: true boxes of n images.
      predicted: predicted boxes of the same images, at most M in one.
      overlaps: T IoU thresholds.

    Returns:
      bool [n, T, M].
    """
    n, most = predicted.scores.shape
    hits = np.zeros((n, len(overlaps), most), bool)
    if not hits.size or not truth.boxes.shape[1]:
        return hits
    overlap = np.where(truth.is_box[:, None, :], box_iou(predicted.boxes, truth.boxes), -1.0)
    thresholds = np.asarray(overlaps, np.float64)[None, :, None] + _EQUAL
    free = np.ones((n, len(overlaps), truth.boxes.shape[1]), bool)
    for m in range(most):
        candidates = np.where(
            free & (overlap[:, m, None, :] > thresholds), overlap[:, m, None, :], -1.0
        )
        matched = candidates.argmax(axis=2)
        hits[:, :, m] = (candidates.max(axis=2) >= 0) & predicted.is_box[:, m, None]
        image, t = np.nonzero(hits[:, :, m])
        free[image, t, matched[image, t]] = False
    return hits
