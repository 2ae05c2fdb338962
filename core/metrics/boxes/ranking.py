"""Ranking of all predicted boxes of a split, the basis of average precision and FROC."""

import numpy as np

from core.metrics.boxes.matching import Boxes, PaddedBoxes, match_boxes, pad_boxes

_BLOCK = 4_000_000


class RankedBoxes:
    """Cumulative hits and boxes for many rows of weights; sorts the boxes once.

    Totals are computed only at scores with a hit: in between, precision falls and sensitivity is
    constant, so AP and FROC do not need them.

    Attributes:
      score: float64 [s], scores at which totals are computed, descending.
    """

    def __init__(self, hits: np.ndarray, predicted: PaddedBoxes, true: np.ndarray) -> None:
        """Sorts the boxes.

        Args:
          hits: bool [n, M], output of `matching.match_boxes` for one IoU threshold.
          predicted: boxes of n images.
          true: int [n], number of true boxes.
        """
        image, column = np.nonzero(predicted.is_box)
        score, hit = predicted.scores[image, column], hits[image, column]
        order = np.argsort(-score, kind="stable")
        image, score, hit = image[order], score[order], hit[order]
        ends = np.flatnonzero(np.diff(score, append=-np.inf))  # the last of each tie
        running = np.cumsum(hit)[ends]
        ends = ends[np.diff(running, prepend=0) > 0]
        self.score = score[ends]
        self.true = np.asarray(true, np.float64)
        self.image = image[: ends[-1] + 1 if len(ends) else 0]
        self.starts = np.append(0, ends + 1)[:-1]
        self.hit_image = image[hit]
        self.hit_starts = np.append(0, np.cumsum(hit)[ends])[:-1]

    def __call__(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns hits [r, s], boxes [r, s] and true boxes [r] for weights [r, n]."""
        hits, boxes = np.zeros((2, len(w), len(self.score)))
        if len(self.score):
            rows = max(1, _BLOCK // len(self.image))
            for at in range(0, len(w), rows):
                for totals, image, starts in (
                    (boxes, self.image, self.starts),
                    (hits, self.hit_image, self.hit_starts),
                ):
                    sums = np.add.reduceat(w[at : at + rows][:, image], starts, axis=1)
                    np.cumsum(sums, axis=1, out=totals[at : at + rows])
        return hits, boxes, w @ self.true


def rank_boxes(truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float) -> RankedBoxes:
    """Matches and sorts the boxes of a split.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], before thresholding.
      scores: for each image their scores [m].
      overlap: a hit has an IoU greater than this.
    """
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    return RankedBoxes(match_boxes(true, predicted, [overlap])[:, 0], predicted, true.count)
