"""All numbers of boxes on a split, with intervals by patient."""

import numpy as np

from components.evaluation.bootstrap import Interval
from components.evaluation.boxes import froc, precision
from components.evaluation.boxes.challenge import OVERLAPS, scores_of_prefixes
from components.evaluation.boxes.matching import Boxes, match, padded
from components.evaluation.boxes.pointing import best_centres, pointing_hits
from components.evaluation.boxes.ranking import RankedBoxes
from components.evaluation.multiclass import Statistics, clustered_bootstrap_of


def froc_name(rate: float) -> str:
    """Name of the sensitivity at a rate of false boxes per image."""
    return f"froc/{rate:g}"


def box_statistics(
    truth: Boxes, boxes: Boxes, scores: Boxes, threshold: float
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """The numbers as a function of the images' weights.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], not cut by the threshold.
      scores: for each image their scores [m].
      threshold: a box at or above it is shown to a reader.

    Returns:
      weights float [r, n] -> name -> value [r], NaN where not defined:
        challenge: the challenge's metric of the boxes at or above the threshold.
        box_ap: average precision at overlap .5; box_map: mean over the challenge's overlaps.
        froc: mean sensitivity over the rates of `froc.RATES`; froc/<rate>: at each.
        pointing: share of images with a true box in which the centre of the best box is on one.
        box_sensitivity: share of true boxes found by boxes at or above the threshold, overlap .4.
        false_boxes: of those, false ones per image.
      and which images the shares "pointing" and "box_sensitivity" count, bool [n] each.

    Raises:
      ValueError: lengths differ, or a box or score is not a number.
    """
    true, predicted = padded(truth, boxes, scores)
    hits = match(true, predicted, OVERLAPS)
    kept = (predicted.there & (predicted.scores >= threshold)).sum(axis=1)
    each = scores_of_prefixes(hits, true.count)[np.arange(len(kept)), kept]
    counted = np.isfinite(each)
    loose = hits[:, OVERLAPS.index(froc.OVERLAP)]
    first = np.arange(hits.shape[2]) < kept[:, None]
    found_kept = (loose & first).sum(axis=1)
    ranked = [RankedBoxes(hits[:, t], predicted, true.count) for t in range(len(OVERLAPS))]
    middle = OVERLAPS.index(precision.OVERLAP)
    on = pointing_hits(truth, best_centres(boxes, scores))
    with_truth = true.count > 0

    def numbers(w: np.ndarray) -> dict[str, np.ndarray]:
        images = w.sum(axis=1)
        areas = []
        for t, of in enumerate(ranked):
            totals = of(w)
            areas.append(precision.area_under(*totals))
            if t == OVERLAPS.index(froc.OVERLAP):
                sensitivity = froc.sensitivities(*totals, images)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {
                "challenge": (w @ np.where(counted, each, 0)) / (w @ counted),
                "box_ap": areas[middle],
                "box_map": np.mean(areas, axis=0),
                "froc": sensitivity.mean(axis=1),
                "pointing": (w @ np.where(with_truth, on, 0)) / (w @ with_truth),
                "box_sensitivity": (w @ found_kept) / (w @ true.count),
                "false_boxes": (w @ (kept - found_kept)) / images,
            }
        for k, rate in enumerate(froc.RATES):
            found[froc_name(rate)] = sensitivity[:, k]
        return found

    return numbers, {"pointing": with_truth, "box_sensitivity": with_truth}


def box_numbers(
    truth: Boxes,
    boxes: Boxes,
    scores: Boxes,
    groups: np.ndarray,
    threshold: float,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """The numbers of `box_statistics` with percentile intervals from resampling whole patients.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], not cut by the threshold.
      scores: for each image their scores [m].
      groups: [n], equal values are one patient.
      threshold: a box at or above it is shown to a reader.
      resamples: how many.
      seed: of the draws.

    Returns:
      name -> interval; empty without images.

    Raises:
      ValueError: lengths differ, or a box or score is not a number.
    """
    statistics, shares = box_statistics(truth, boxes, scores, threshold)
    if not len(truth):
        return {}
    return clustered_bootstrap_of(
        statistics, np.asarray(groups), shares=shares, resamples=resamples, seed=seed
    )
