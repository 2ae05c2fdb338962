"""All detection metrics of a split, as a function of weights for the bootstrap."""

import numpy as np

from core.metrics.bootstrap import Statistics
from core.metrics.boxes import average_precision, froc
from core.metrics.boxes.challenge import OVERLAPS, prefix_scores
from core.metrics.boxes.matching import Boxes, match_boxes, pad_boxes
from core.metrics.boxes.pointing import best_box_centers, pointing_hits
from core.metrics.boxes.ranking import RankedBoxes


def froc_name(rate: float) -> str:
    """Returns the key of the sensitivity at a rate of false boxes per image."""
    return f"froc/{rate:g}"


def box_statistics(
    truth: Boxes, boxes: Boxes, scores: Boxes, threshold: float
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the detection metrics as a function of weights.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], before thresholding.
      scores: for each image their scores [m].
      threshold: a box at or above it is shown.

    Returns:
      A function of weights float [r, n] that returns name -> value [r], NaN if undefined:
        challenge: challenge score of the shown boxes.
        box_ap: average precision at IoU 0.5.
        box_map: mean average precision over the IoU thresholds of the challenge.
        froc: mean sensitivity over `froc.RATES`; froc/<rate>: sensitivity at each rate.
        pointing: share of images with true boxes in which the center of the best box is on one.
        box_sensitivity: share of true boxes that a shown box hits at IoU 0.4.
        false_boxes: shown boxes per image that hit no true box.
      And name -> bool [n], the images in the denominator of a proportion.
    """
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    hits = match_boxes(true, predicted, OVERLAPS)
    kept = (predicted.is_box & (predicted.scores >= threshold)).sum(axis=1)
    image_scores = prefix_scores(hits, true.count)[np.arange(len(kept)), kept]
    froc_index = OVERLAPS.index(froc.OVERLAP)
    kept_hits = (hits[:, froc_index] & (np.arange(hits.shape[2]) < kept[:, None])).sum(axis=1)
    ranked = [RankedBoxes(hits[:, t], predicted, true.count) for t in range(len(OVERLAPS))]
    on_opacity, with_truth = pointing_hits(truth, best_box_centers(boxes, scores)), true.count > 0

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        images = w.sum(axis=1)
        totals = [ranking(w) for ranking in ranked]
        areas = [average_precision.average_precision_of_totals(*total) for total in totals]
        sensitivity = froc.sensitivities(*totals[froc_index], images)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "challenge": (w @ np.nan_to_num(image_scores)) / (w @ np.isfinite(image_scores)),
                "box_ap": areas[OVERLAPS.index(average_precision.OVERLAP)],
                "box_map": np.mean(areas, axis=0),
                "froc": sensitivity.mean(axis=1),
                "pointing": (w @ np.nan_to_num(on_opacity)) / (w @ with_truth),
                "box_sensitivity": (w @ kept_hits) / (w @ true.count),
                "false_boxes": (w @ (kept - kept_hits)) / images,
                **{froc_name(rate): sensitivity[:, k] for k, rate in enumerate(froc.RATES)},
            }

    return statistics, {"pointing": with_truth, "box_sensitivity": with_truth}
