"""Average precision of boxes."""

import numpy as np

from components.evaluation.boxes.matching import Boxes, match, padded
from components.evaluation.boxes.ranking import RankedBoxes

OVERLAP = 0.5


def area_under(hits: np.ndarray, boxes: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Average precision from running totals.

    The area under the precision envelope over all steps of recall, as PASCAL VOC has it since 2010
    (Everingham et al. 2015, IJCV 111): the precision at a recall is the largest at that recall or
    beyond.

    Args:
      hits: [r, s] of `RankedBoxes`.
      boxes: [r, s].
      true: [r].

    Returns:
      [r], 0 to 1; NaN where there is no true box.
    """
    precision = np.divide(hits, boxes, out=np.zeros_like(hits), where=boxes > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    gained = (np.diff(hits, axis=1, prepend=0) * envelope).sum(axis=1)
    return np.divide(gained, true, out=np.full(len(true), np.nan), where=true > 0)


def average_precision(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> float | None:
    """Average precision of all boxes of a split.

    A box hits by the same greedy matching as in the challenge's metric. Boxes of equal score count
    together: neither order among them is better.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], not cut by a threshold.
      scores: for each image their scores [m].
      overlap: a hit has more intersection over union than this.

    Returns:
      None where there is no true box.

    Raises:
      ValueError: lengths differ, or a box or score is not a number.
    """
    ranked = rank(truth, boxes, scores, overlap)
    found = float(area_under(*ranked(np.ones((1, len(truth)))))[0])
    return found if np.isfinite(found) else None


def pr_points(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recall, precision and score [s] after each score that adds a hit; empty without any."""
    ranked = rank(truth, boxes, scores, overlap)
    hits, every, true = ranked(np.ones((1, len(truth))))
    if not len(ranked.score):
        return np.empty(0), np.empty(0), np.empty(0)
    return hits[0] / true[0], hits[0] / every[0], ranked.score


def rank(truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float) -> RankedBoxes:
    """Matches and orders the boxes of a split.

    Raises:
      ValueError: lengths differ, or a box or score is not a number.
    """
    true, predicted = padded(truth, boxes, scores)
    return RankedBoxes(match(true, predicted, [overlap])[:, 0], predicted, true.count)
