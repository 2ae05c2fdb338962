"""Which predicted boxes hit, for all images and all overlaps at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.evaluation.boxes.iou import check_boxes, iou

Boxes = Sequence[np.ndarray]
# An overlap this near to the one that is asked for equals it, whatever the last bits say.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Padded:
    """Boxes of n images in one array, filled up with boxes of no size.

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
        """Which places hold a box, bool [n, M]."""
        return np.asarray(np.arange(self.boxes.shape[1]) < self.count[:, None])


def pad(boxes: Boxes, scores: Boxes | None = None, what: str = "box") -> Padded:
    """Puts the boxes of images into one array, ordered by score (ties stay as they were given).

    Args:
      boxes: for each image [k, 4].
      scores: for each image [k].
      what: for messages.

    Raises:
      ValueError: a bad box or score; the message names the image by its place.
    """
    checked = []
    for i, one in enumerate(boxes):
        try:
            checked.append(check_boxes(one, what))
        except ValueError as error:
            raise ValueError(f"image {i}: {error}") from None
    count = np.array([len(one) for one in checked], np.int64)
    n, most = len(checked), int(count.max(initial=0))
    flat = np.concatenate(checked) if n else np.zeros((0, 4))
    given = np.zeros(len(flat))
    if scores is not None:
        rows = [np.asarray(row, np.float64).reshape(-1) for row in scores]
        if [len(row) for row in rows] != count.tolist():
            raise ValueError(f"there must be one score for each {what} of each image")
        given = np.concatenate(rows) if n else given
        if not np.isfinite(given).all():
            at = int(np.argmin(np.isfinite(given)))
            where = int(np.searchsorted(np.cumsum(count), at, side="right"))
            raise ValueError(f"image {where}: the score {given[at]} is not a number")
    image = np.repeat(np.arange(n), count)
    order = np.lexsort((-given, image))  # stable
    place = np.arange(len(flat)) - np.repeat(np.cumsum(count) - count, count)
    into, into_scores = np.zeros((n, most, 4)), np.full((n, most), -np.inf)
    into[image, place], into_scores[image, place] = flat[order], given[order]
    return Padded(into, into_scores, count)


def match(truth: Padded, predicted: Padded, overlaps: Sequence[float]) -> np.ndarray:
    """Greedy matching, the best prediction first.

    A prediction hits where its overlap with a true box that no better prediction has taken is
    greater than the one asked for; it takes the one that it overlaps most. A prediction never
    changes what better ones hit, so the first j columns are the matching of the j best.

    Args:
      truth: true boxes of n images.
      predicted: predicted boxes of the same images, at most M in one.
      overlaps: T values of intersection over union.

    Returns:
      bool [n, T, M].
    """
    n, most = predicted.scores.shape
    hits = np.zeros((n, len(overlaps), most), bool)
    if not hits.size or not truth.boxes.shape[1]:
        return hits
    found = np.where(truth.there[:, None, :], iou(predicted.boxes, truth.boxes), -1.0)
    asked = np.asarray(overlaps, np.float64)[None, :, None] + _EQUAL
    free = np.ones((n, len(overlaps), truth.boxes.shape[1]), bool)
    there = predicted.there
    for m in range(most):
        able = np.where(free & (found[:, m, None, :] > asked), found[:, m, None, :], -1.0)
        taken = able.argmax(axis=2)
        hit = (able.max(axis=2) >= 0) & there[:, m, None]
        hits[:, :, m] = hit
        image, overlap = np.nonzero(hit)
        free[image, overlap, taken[image, overlap]] = False
    return hits


def padded(truth: Boxes, boxes: Boxes, scores: Boxes) -> tuple[Padded, Padded]:
    """True and predicted boxes of the same images.

    Raises:
      ValueError: lengths differ, or a box or score is not a number.
    """
    if not len(truth) == len(boxes) == len(scores):
        raise ValueError(
            f"{len(truth)}, {len(boxes)} and {len(scores)} images do not belong together"
        )
    return pad(truth, what="true box"), pad(boxes, scores)
