"""Average precision of predicted boxes."""

import numpy as np

from core.metrics.boxes.matching import Boxes
from core.metrics.boxes.ranking import rank_boxes

OVERLAP = 0.5


def average_precision_of_totals(
    hits: np.ndarray, boxes: np.ndarray, true: np.ndarray
) -> np.ndarray:
    """Computes the average precision from the totals of `RankedBoxes`.

    The area under the precision envelope over all steps of recall, as in PASCAL VOC since 2010
    (Everingham et al., 2015, IJCV 111): the precision at a recall is the maximum at that recall or
    above.

    Args:
      hits: [r, s].
      boxes: [r, s].
      true: [r].

    Returns:
      [r], 0 to 1; NaN without true boxes.
    """
    precision = np.divide(hits, boxes, out=np.zeros_like(hits), where=boxes > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    gained = (np.diff(hits, axis=1, prepend=0) * envelope).sum(axis=1)
    return np.divide(gained, true, out=np.full(len(true), np.nan), where=true > 0)


def average_precision(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> float | None:
    """Computes the average precision of a split; None without true boxes.

    Arguments as in `ranking.rank_boxes`. Boxes of equal score count together.
    """
    ranked = rank_boxes(truth, boxes, scores, overlap)
    value = float(average_precision_of_totals(*ranked(np.ones((1, len(truth)))))[0])
    return value if np.isfinite(value) else None


def precision_recall_points(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns recall, precision and score [s] at each score that adds a hit; empty without hits."""
    ranked = rank_boxes(truth, boxes, scores, overlap)
    (hits,), (boxes_above,), (true,) = ranked(np.ones((1, len(truth))))
    return hits / max(true, 1), hits / boxes_above, ranked.score
