"""Metric of the RSNA Pneumonia Detection Challenge (Kaggle, 2018, page "Evaluation").

The score of an image is the mean of TP / (TP + FP + FN) over the IoU thresholds 0.40, 0.45, ...,
0.75. Boxes are matched in descending order of confidence, and each true box can be hit once. As on
the page, a hit needs an IoU strictly greater than the threshold; the script that most entrants used
accepts equality. The page does not define which true box a prediction hits if several overlap
enough; here it hits the one with the highest IoU.

An image without true boxes scores 0 if the model predicts a box, and is ignored otherwise.
"""

import numpy as np

from core.metrics.boxes.matching import Boxes, match_boxes, pad_boxes

OVERLAPS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75)


def prefix_scores(hits: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Computes the score of each image from only its j best boxes, for every j.

    Args:
      hits: bool [n, T, M], output of `matching.match_boxes`.
      true: int [n], number of true boxes.

    Returns:
      float64 [n, M + 1]; column j is the score with j boxes, NaN without true and predicted boxes.
      Columns beyond the number of predicted boxes are meaningless.
    """
    n, _, most = hits.shape
    tp = np.zeros((n, hits.shape[1], most + 1))
    np.cumsum(hits, axis=2, out=tp[:, :, 1:])
    either = np.arange(most + 1)[None, None, :] + np.asarray(true)[:, None, None] - tp
    shares = np.divide(tp, either, out=np.full_like(tp, np.nan), where=either > 0)
    return np.asarray(shares.mean(axis=1))


def challenge_scores(truth: Boxes, boxes: Boxes, scores: Boxes) -> np.ndarray:
    """Computes the score of each image.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], in any order.
      scores: for each image their scores [m]; ties keep the order of the arguments.

    Returns:
      float64 [n], 0 to 1; NaN for an image that is ignored.
    """
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    prefixes = prefix_scores(match_boxes(true, predicted, OVERLAPS), true.count)
    return np.asarray(prefixes[np.arange(len(prefixes)), predicted.count])


def challenge_score(truth: Boxes, boxes: Boxes, scores: Boxes) -> float | None:
    """Returns the mean of `challenge_scores` over the images that count; None if none does."""
    image_scores = challenge_scores(truth, boxes, scores)
    counted = image_scores[np.isfinite(image_scores)]
    return float(counted.mean()) if len(counted) else None
