"""The metric of the RSNA Pneumonia Detection Challenge (Kaggle 2018, page "Evaluation").

For an image, the mean over the overlaps .40, .45, ... .75 of TP / (TP + FP + FN). Boxes are matched
in the order of their confidence; each true box can be hit once. The page calls a box a hit where
its intersection over union with a true box "is greater than" the threshold: strictly, so an overlap
of exactly .50 is no hit at .50 (the script that most entrants used has "at least"; it differs only
there). Where a box overlaps several true boxes enough, the page does not say which it takes; here
it is the one that it overlaps most.

An image without a true box and with any prediction scores 0. One without both is left out.
"""

import numpy as np

from core.metrics.boxes.matching import Boxes, match_boxes, pad_boxes

OVERLAPS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75)


def prefix_scores(hits: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The score of an image with only its j best boxes, for every j.

    Args:
      hits: bool [n, T, M] of `matching.match`.
      true: int [n], true boxes.

    Returns:
      float64 [n, M + 1]; column j is of j boxes. NaN where there is neither a true box nor one of
      the j. Columns beyond the boxes that an image has are meaningless.
    """
    n, _, most = hits.shape
    tp = np.zeros((n, hits.shape[1], most + 1))
    np.cumsum(hits, axis=2, out=tp[:, :, 1:])
    either = np.arange(most + 1)[None, None, :] + np.asarray(true)[:, None, None] - tp
    shares = np.divide(tp, either, out=np.full_like(tp, np.nan), where=either > 0)
    return np.asarray(shares.mean(axis=1))


def challenge_scores(truth: Boxes, boxes: Boxes, scores: Boxes) -> np.ndarray:
    """The score of each image.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], in any order.
      scores: for each image their scores [m]; equal ones count in the order given.

    Returns:
      float64 [n], 0 to 1; NaN for an image that is left out.
    """
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    prefixes = prefix_scores(match_boxes(true, predicted, OVERLAPS), true.count)
    return np.asarray(prefixes[np.arange(len(prefixes)), predicted.count])


def challenge_score(truth: Boxes, boxes: Boxes, scores: Boxes) -> float | None:
    """The mean of `challenge_scores` over the images that count; None where none does."""
    found = challenge_scores(truth, boxes, scores)
    counted = found[np.isfinite(found)]
    return float(counted.mean()) if len(counted) else None
