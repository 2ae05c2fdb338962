"""All metrics of boxes on a split, as a function of weights, for the bootstrap."""

import numpy as np

from core.metrics.bootstrap import Statistics
from core.metrics.boxes import average_precision, froc
from core.metrics.boxes.challenge import OVERLAPS, prefix_scores
from core.metrics.boxes.matching import Boxes, match_boxes, pad_boxes
from core.metrics.boxes.pointing import best_box_centers, pointing_hits
from core.metrics.boxes.ranking import RankedBoxes


def froc_name(rate: float) -> str:
    """Name of the sensitivity at a rate of false boxes per image."""
    return f"froc/{rate:g}"


def box_statistics(
    truth: Boxes, boxes: Boxes, scores: Boxes, threshold: float
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Prepares the metrics of boxes.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], not cut by the threshold.
      scores: for each image their scores [m].
      threshold: a box at or above it is shown to a reader.

    Returns:
      weights float [r, n] -> name -> value [r], NaN where undefined:
        challenge: the challenge's metric of the boxes at or above the threshold.
        box_ap: average precision at overlap .5; box_map: mean over the challenge's overlaps.
        froc: mean sensitivity over the rates of `froc.RATES`; froc/<rate>: at each.
        pointing: share of images with a true box in which the centre of the best box is on one.
        box_sensitivity: share of true boxes found by boxes at or above the threshold, overlap .4.
        false_boxes: of those, false ones per image.
      and name -> bool [n], the images that the proportions "pointing" and "box_sensitivity" count.
    """
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    hits = match_boxes(true, predicted, OVERLAPS)
    kept = (predicted.there & (predicted.scores >= threshold)).sum(axis=1)
    each = prefix_scores(hits, true.count)[np.arange(len(kept)), kept]
    loose = OVERLAPS.index(froc.OVERLAP)
    found_kept = (hits[:, loose] & (np.arange(hits.shape[2]) < kept[:, None])).sum(axis=1)
    ranked = [RankedBoxes(hits[:, t], predicted, true.count) for t in range(len(OVERLAPS))]
    on, with_truth = pointing_hits(truth, best_box_centers(boxes, scores)), true.count > 0

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        images = w.sum(axis=1)
        totals = [of(w) for of in ranked]
        areas = [average_precision.average_precision_of_totals(*one) for one in totals]
        sensitivity = froc.sensitivities(*totals[loose], images)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "challenge": (w @ np.nan_to_num(each)) / (w @ np.isfinite(each)),
                "box_ap": areas[OVERLAPS.index(average_precision.OVERLAP)],
                "box_map": np.mean(areas, axis=0),
                "froc": sensitivity.mean(axis=1),
                "pointing": (w @ np.nan_to_num(on)) / (w @ with_truth),
                "box_sensitivity": (w @ found_kept) / (w @ true.count),
                "false_boxes": (w @ (kept - found_kept)) / images,
                **{froc_name(rate): sensitivity[:, k] for k, rate in enumerate(froc.RATES)},
            }

    return statistics, {"pointing": with_truth, "box_sensitivity": with_truth}
