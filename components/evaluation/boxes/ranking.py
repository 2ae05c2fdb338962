"""All predicted boxes of a split in one list, best first: what AP and FROC are counted from."""

import numpy as np

from components.evaluation.boxes.matching import Padded

_BLOCK = 4_000_000


class RankedBoxes:
    """Running totals of hits and boxes for many rows of weights; order and ties are found once.

    A total is taken only after scores at which some box hits: precision falls and sensitivity
    stands still in between, so neither AP nor FROC needs more.

    Attributes:
      score: float64 [s], the scores after which a total is taken, descending.
    """

    def __init__(self, hits: np.ndarray, predicted: Padded, true: np.ndarray) -> None:
        """Orders the boxes.

        Args:
          hits: bool [n, M], one overlap of `matching.match`.
          predicted: boxes of n images.
          true: int [n], true boxes.
        """
        image, place = np.nonzero(predicted.there)
        score = predicted.scores[image, place]
        order = np.argsort(-score, kind="stable")
        image, score = image[order], score[order]
        hit = hits[image, place[order]] if len(image) else np.zeros(0, bool)
        ends = (
            np.flatnonzero(np.append(np.diff(score), -1.0) != 0) if len(score) else np.zeros(0, int)
        )
        running = np.cumsum(hit)[ends]
        ends = ends[np.diff(running, prepend=0) > 0]
        stop = int(ends[-1]) + 1 if len(ends) else 0
        self.score = score[ends]
        self.true = np.asarray(true, np.float64)
        self.image, self.starts = image[:stop], np.append(0, ends[:-1] + 1)[: len(ends)]
        self.hit_image = image[hit]
        before = np.cumsum(hit)[ends]
        self.hit_starts = np.append(0, before[:-1])[: len(ends)]

    def __call__(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights [r, n] -> hits [r, s], boxes [r, s], true boxes [r]."""
        hits, boxes = np.zeros((2, len(w), len(self.score)))
        if len(self.score):
            rows = max(1, _BLOCK // len(self.image))
            for at in range(0, len(w), rows):
                some = w[at : at + rows]
                sums = np.add.reduceat(some[:, self.image], self.starts, axis=1)
                np.cumsum(sums, axis=1, out=boxes[at : at + rows])
                sums = np.add.reduceat(some[:, self.hit_image], self.hit_starts, axis=1)
                np.cumsum(sums, axis=1, out=hits[at : at + rows])
        return hits, boxes, w @ self.true
